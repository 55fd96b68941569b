"""Neutron's metadata agent with haproxy before it, as they run on a network node, for one metadata service.

The agent is Neutron's own code in its own environment (``.venv-neutron``), haproxy the distribution's.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from needs import CHECKOUT, not_run, program
from servers.ports import free_port

_VENV = CHECKOUT / ".venv-neutron"
_START_S = 90


@contextmanager
def neutron(home: Path, metadata_port: int, secret: str, ports: Mapping[str, tuple[str, str]]) -> Iterator[int]:
    """Start both, and give the port that stands for 169.254.169.254 on the guests' network.

    Args:
        ports: Instance and project by the address that a guest has on loopback.
    """
    python = _VENV / "bin" / "python"
    if not python.exists():
        not_run("Neutron (.venv-neutron)")
    haproxy = program("haproxy")
    (home / "ports.json").write_text(json.dumps(ports))
    port = free_port()
    script = Path(__file__).with_name("neutron_agent.py")
    with contextlib.ExitStack() as ends, (home / "agent.log").open("wb") as log:
        # -P: its own folder has a module of Neutron's name.
        command = [str(python), "-P", str(script), str(home), str(port), str(metadata_port), secret]
        agent = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home)
        ends.callback(_end, agent)
        _wait_for((home / "agent.sock").exists, agent, home / "agent.log")
        proxy = subprocess.Popen(
            [haproxy, "-db", "-f", "haproxy.conf"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home
        )
        ends.callback(_end, proxy)
        _wait_for(lambda: _listens(port), proxy, home / "agent.log")
        yield port


def _wait_for(holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not holds():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"Neutron did not start: {log.read_text()[-3000:]}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
