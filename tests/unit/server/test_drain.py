from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.server.drain import BEGIN, END, Drain


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (BEGIN, END)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signals_begin_and_end_it_also_for_processes_that_were_forked_before() -> None:
    # In a process of its own: other tests import libraries that mind a fork of this one.
    subprocess.run([sys.executable, "-c", _FORKED_BEFORE], check=True, timeout=60)


_FORKED_BEFORE = """
import os

from headwater.server.drain import BEGIN, END, Drain, ignore_signals

drain = Drain()
drain.follow_signals()
heard, says = os.pipe()
asked, asks = os.pipe()
pid = os.fork()
if pid == 0:
    ignore_signals()
    while os.read(asked, 1) == b"?":
        os.write(says, b"1" if drain.reason else b"0")
    os._exit(0)


def forked_says() -> bytes:
    os.write(asks, b"?")
    return os.read(heard, 1)


assert (drain.reason, forked_says()) == (None, b"0")
os.kill(os.getpid(), BEGIN)
os.kill(pid, END)  # ignored there
assert (drain.reason, forked_says()) == ("The service is drained by its operator", b"1")
os.kill(os.getpid(), END)
assert (drain.reason, forked_says()) == (None, b"0")
os.write(asks, b".")
assert os.waitpid(pid, 0)[1] == 0
"""


def test_each_change_is_one_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    file = tmp_path / "drain"
    drain = Drain(file)
    drain.follow_signals()
    drain.look()
    file.touch()
    drain.look()
    os.kill(os.getpid(), BEGIN)
    drain.look()
    file.unlink()
    drain.look()
    assert len(caplog.records) == 1  # the signal still holds
    os.kill(os.getpid(), END)
    drain.look()
    assert drain.reason is None
    begun, ended = caplog.records
    assert vars(begun)["by"] == "the drain file"
    assert begun.getMessage().startswith("drained: ")
    assert ended.getMessage().startswith("drained no more")


def test_a_file_that_cannot_be_looked_at_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    drain = Drain(tmp_path / "file" / "drain")
    drain.look()
    assert drain.reason is None


def test_a_stop_is_told_as_such() -> None:
    drain = Drain()
    drain.before_stop()
    assert drain.reason == "The service stops"
