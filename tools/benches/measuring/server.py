"""The server that is measured: a real ``headwater serve`` on free ports of loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.benches.failure import BenchFailed
from tools.benches.measuring import processes
from tools.benches.measuring.connection import Address, Connection

_START_S = 60
_STOP_S = 20
_POLL_S = 0.002


@dataclass(frozen=True, slots=True)
class Server:
    """A server that has given its first answer."""

    process: subprocess.Popen[bytes]
    images: Address
    metadata: Address
    data_dir: Path
    first_answer_s: float  # from the start of the process

    @property
    def pids(self) -> list[int]:
        """The supervisor and its workers."""
        return processes.family(self.process.pid)


def headwater(*arguments: str | Path) -> list[str]:
    """Return the command line of this checkout's program."""
    return [sys.executable, "-m", "headwater.cli.main", *map(str, arguments)]


def environment() -> dict[str, str]:
    """Return the environment without anybody's settings of Headwater."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}


@contextlib.contextmanager
def serving(
    data_dir: Path,
    workers: int | None = None,
    *,
    settings: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start a server on ``data_dir``, and stop it.

    Args:
        settings: As the environment names them, such as ``HEADWATER_AUTH__MODE``.
        headers: What proves a caller who may list images.

    Raises:
        BenchFailed: It did not start, or it ended before it was stopped.
    """
    images, metadata = _free_addresses(2)
    command = headwater(
        "serve",
        *("--data-dir", data_dir),
        *("--bind", f"{images[0]}:{images[1]}"),
        *("--metadata-bind", f"{metadata[0]}:{metadata[1]}"),
        *(("--workers", str(workers)) if workers else ()),
    )
    data_dir.mkdir(parents=True, exist_ok=True)
    # Its working directory has no headwater.toml.
    log = data_dir / "server.log"
    with log.open("ab") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=data_dir,
            env={**environment(), **(settings or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for_answer(process, images, log, headers)
        yield Server(process, images, metadata, data_dir, time.perf_counter() - started)
        if process.poll() is not None:
            raise BenchFailed(f"the server ended while it was measured:\n{_tail(log)}")
    finally:
        _stop(process)


def _free_addresses(count: int) -> list[Address]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname() for probe in probes]


def _wait_for_answer(
    process: subprocess.Popen[bytes], address: Address, log: Path, headers: Mapping[str, str] | None
) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchFailed(f"the server did not start:\n{_tail(log)}")
        try:
            with contextlib.closing(Connection(address, timeout_s=5, headers=headers)) as connection:
                connection.get("/v2/images")
            return
        except OSError:
            time.sleep(_POLL_S)
    raise BenchFailed(f"the server gave no answer for {_START_S} s:\n{_tail(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    pids = processes.family(process.pid)
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
