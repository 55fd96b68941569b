"""No server outlives the test run that started it, however that ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from servers.process import ServerDidNotStart, directory, listening

SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    listener.accept()[0].close()
"""

HOLDER = """
import signal, sys
from servers import test_process as test
from servers.process import directory, listening

# A shell starts its background jobs deaf to SIGINT, and their children stay so.
signal.signal(signal.SIGINT, signal.default_int_handler)
with directory("test", None) as home:
    with listening(
        test.command, answers=test.answers, owner=None, home=home, stop_signal=signal.SIGTERM
    ) as port:
        print(port, home, flush=True)
        sys.stdin.read()
"""


def command(port: int) -> list[str]:
    return [sys.executable, "-c", SERVER, str(port)]


def answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def comes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_server_goes_with_the_run_that_is_interrupted(end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as holder:
        assert holder.stdout is not None
        port_text, home_text = holder.stdout.readline().decode().split()
        port, home = int(port_text), Path(home_text)
        assert answers(port)
        assert home.is_dir()
        holder.send_signal(end)
        holder.wait(20)
    assert comes_true(lambda: not answers(port))
    assert comes_true(lambda: not home.exists())


def test_a_server_that_ends_at_once_says_why() -> None:
    with (
        directory("test", None) as home,
        pytest.raises(ServerDidNotStart, match="no space on the moon"),
        listening(
            lambda _port: [sys.executable, "-c", "import sys; sys.exit('no space on the moon')"],
            answers=answers,
            owner=None,
            home=home,
            stop_signal=signal.SIGTERM,
        ),
    ):
        pytest.fail("it listens")
    assert not home.exists()
