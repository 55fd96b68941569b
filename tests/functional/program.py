"""The console script ``headwater`` as a process: of its own from the start, or forked from one that has imported it.

Most of what a start costs, a second on a processor, is imports, which are the same each time: an import does nothing
but define. What a test says of a running service does not depend on them, so that it gets a forked one (``forks.py``).
"""

from __future__ import annotations

import atexit
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Protocol

_STARTER = Path(__file__).with_name("ends_with_its_parent.py")
_FORKS = Path(__file__).with_name("forks.py")


class Process(Protocol):
    """A running program, as ``subprocess.Popen`` has it."""

    @property
    def pid(self) -> int:
        """Its id, and the id of the group of all its processes."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


def program() -> Path:
    """Return the console script of the environment that the tests run in."""
    return Path(sys.executable).with_name("headwater")


def start(
    arguments: Sequence[str],
    *,
    directory: Path,
    env: Mapping[str, str],
    stdout: IO[bytes],
    stderr: IO[bytes],
    anew: bool = False,
) -> Process:
    """Start it; its standard input is empty.

    Args:
        env: All that its environment has.
        anew: It is a process of its own from the start, as where ``env`` says something to Python itself.
    """
    if not anew and not any(name.startswith("PYTHON") for name in env):
        return _forks().start([str(program()), *arguments], directory, env, stdout, stderr)
    return subprocess.Popen(
        [sys.executable, _STARTER, program(), *arguments],
        cwd=directory,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # its own group; Ctrl-C is for the test run
    )


class _Forked:
    """A process that ``forks.py`` started and waits for."""

    def __init__(self, arguments: Sequence[str], pid: int, code: int) -> None:
        self._arguments = arguments
        self.pid = pid
        self._pipe = code
        self._code: int | None = None
        self._one_reads = threading.Lock()

    def poll(self) -> int | None:
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def _wait(self, timeout: float | None) -> int | None:
        if self._code is not None:
            return self._code
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        if poll.poll(None if timeout is None else timeout * 1000):
            with self._one_reads:  # another thread may wait as well
                if self._code is None:
                    self._code = int(os.read(self._pipe, 16))
        return self._code

    def __del__(self) -> None:
        os.close(self._pipe)


class _Forks:
    """``forks.py`` as a child of this process, with which it ends."""

    def __init__(self) -> None:
        self._control, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_at_a_time = threading.Lock()
        with its:
            self._process = subprocess.Popen(
                [sys.executable, _FORKS, str(its.fileno())],
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the test run
            )

    def start(
        self, arguments: Sequence[str], directory: Path, env: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes]
    ) -> _Forked:
        message = json.dumps({"arguments": arguments, "cwd": str(directory), "env": dict(env)}).encode()
        code, told = os.pipe()
        try:
            with Path(os.devnull).open("rb") as nothing, self._one_at_a_time:
                files = [nothing.fileno(), stdout.fileno(), stderr.fileno(), told]
                socket.send_fds(self._control, [message], files)
                pid = int(self._control.recv(16))
        except BaseException:
            os.close(code)
            raise
        finally:
            os.close(told)
        return _Forked(arguments, pid, code)

    def close(self) -> None:
        self._control.close()
        self._process.wait()


@cache
def _forks() -> _Forks:
    forks = _Forks()
    atexit.register(forks.close)
    return forks
