"""A console script as a process: of its own from the start, or forked from one that has imported it.

Most of what a start costs, up to a second on a processor, is imports, which are the same each time: an import does
nothing but define. What a test says of a running service, or of what a client does with it, does not depend on them, so
that it gets a forked one (``forks.py``).
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Protocol

_STARTER = Path(__file__).with_name("ends_with_its_parent.py")
_FORKS = Path(__file__).with_name("forks.py")
# What each script imports; the first module has its `main`.
_HEADWATER = (
    "headwater.cli.main",
    "headwater.cli.commands.serve",
    "headwater.cli.commands.images.image",
    "headwater.cli.commands.images.retention",
    "headwater.server.supervisor",
    "uvloop",
)
_CLIENTS = {
    "glance": ("glanceclient.shell", "glanceclient.v2.shell", "glanceclient.v2.client"),
    "openstack": (
        "openstackclient.shell",
        "keystoneauth1.extras.oauth1",
        "keystoneclient.v3.client",
        "manilaclient.osc.v2.share",
        "openstack.image.image_signer",
        "openstackclient.compute.v2.server",
        "openstackclient.image.v2.image",
        "openstackclient.network.v2.port",
    ),
}
# `glance image-create` takes whatever standard input is for the image, unless it is closed.
_WITHOUT_INPUT = ("sh", "-c", 'exec "$@" <&-', "sh")


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
    if not anew and not _is_for_python(env):
        forks = _forks(Path(sys.executable), _HEADWATER)
        return forks.start([str(program()), *arguments], directory, env, stdout, stderr)
    return subprocess.Popen(
        [sys.executable, _STARTER, program(), *arguments],
        cwd=directory,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # its own group; Ctrl-C is for the test run
    )


def start_client(
    script: Path,
    arguments: Sequence[str],
    *,
    directory: Path,
    env: Mapping[str, str],
    stdout: IO[bytes],
    stderr: IO[bytes],
    anew: bool = False,
) -> Process:
    """Start a client that others wrote, without standard input; the arguments are those of ``start``."""
    modules = _CLIENTS.get(script.name)
    if modules is not None and not anew and not _is_for_python(env):
        forks = _forks(script.with_name("python"), modules)
        return forks.start([str(script), *arguments], directory, env, stdout, stderr, has_input=False)
    return subprocess.Popen(
        [*_WITHOUT_INPUT, str(script), *arguments], cwd=directory, env=dict(env), stdout=stdout, stderr=stderr
    )


def finished(
    words: Sequence[str], start_it: Callable[[IO[bytes], IO[bytes]], Process], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Let a command that writes to two files run to its end, and return how it ended."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start_it(out, err)
        try:
            code = process.wait(timeout_s)
        finally:
            process.send_signal(signal.SIGKILL)  # where it did not end in time
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(words), code, out.read().decode(), err.read().decode())


def _is_for_python(env: Mapping[str, str]) -> bool:
    """Whether the environment says something to Python itself, which hears it at its start only."""
    return any(name.startswith("PYTHON") for name in env)


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


class Forks:
    """``forks.py`` as a child of this process, with which it ends."""

    def __init__(self, python: Path, modules: Sequence[str]) -> None:
        self._control, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_at_a_time = threading.Lock()
        with its:
            self._process = subprocess.Popen(
                [python, _FORKS, str(its.fileno()), *modules],
                cwd="/",
                # openstacksdk looks for its files, such as clouds.yaml, in the home that it is imported in.
                env={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "HOME": "/nonexistent",
                    "LC_ALL": "C.UTF-8",
                    "TZ": "UTC",
                },
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the test run
            )

    def start(
        self,
        arguments: Sequence[str],
        directory: Path,
        env: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
        *,
        has_input: bool = True,
    ) -> _Forked:
        run = {"arguments": arguments, "cwd": str(directory), "env": dict(env), "has_input": has_input}
        message = json.dumps(run).encode()
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
def _forks(python: Path, modules: Sequence[str]) -> Forks:
    forks = Forks(python, modules)
    atexit.register(forks.close)
    return forks
