"""Metadata agents of Neutron with haproxy before them, as they run on a network node, for one metadata service.

The agents are Neutron's own code in its own environment (``.venv-neutron``), haproxy the distribution's. That of ML2
knows guests from Neutron's server, OVN's from the Southbound database; here a file has what either would find there.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from needs import CHECKOUT, not_run, program
from servers.ports import free_port

_VENV = CHECKOUT / ".venv-neutron"
_START_S = 90


def network_id(number: int) -> str:
    """Return the id of one of the networks, counted from 0."""
    return f"3f1b6d0e-54c1-4f22-9f9c-0d54b0f4f0a{number}"


@contextmanager
def neutron(
    home: Path, metadata_port: int, secret: str, networks: Sequence[Mapping[str, tuple[str, str]]], *, agent: str
) -> Iterator[list[int]]:
    """Start an agent, and give the ports that stand for 169.254.169.254, one on each of the networks.

    Args:
        networks: Of each, instance and project by the address that a guest has on loopback.
        agent: ``ml2`` or ``ovn``.
    """
    python = _VENV / "bin" / "python"
    if not python.exists():
        not_run("Neutron (.venv-neutron)")
    haproxy = program("haproxy")
    ports = [free_port() for _ in networks]
    told = [
        {"id": network_id(number), "port": port, "guests": guests}
        for number, (port, guests) in enumerate(zip(ports, networks, strict=True))
    ]
    (home / "networks.json").write_text(json.dumps(told))
    script = Path(__file__).with_name("neutron_agent.py")
    with contextlib.ExitStack() as ends, (home / "agent.log").open("wb") as log:
        # -P: its own folder has a module of Neutron's name.
        command = [str(python), "-P", str(script), agent, str(home), str(metadata_port), secret]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home)
        ends.callback(_end, process)
        _wait_for((home / "agent.sock").exists, process, home / "agent.log")
        for number, port in enumerate(ports):
            proxy = subprocess.Popen(
                [haproxy, "-db", "-f", f"{network_id(number)}.conf"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
            )
            ends.callback(_end, proxy)
            _wait_for(lambda port=port: _listens(port), proxy, home / "agent.log")  # type: ignore[misc]
        yield ports


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
