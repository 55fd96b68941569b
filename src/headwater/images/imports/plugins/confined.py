"""Run a program on a file that somebody else made, so that it can do little besides.

It has bounded memory, processor time, file size and open files (``prlimit``), no network (``unshare``), no environment,
no input, a directory of its own, and ends with its whole process group when it takes too long, when what it works for
is given up, or when this process ends.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_LOOK_EVERY_S = 0.5
_ERRORS_KEPT = 4096  # bytes
_OUTPUT_KEPT = 256 << 10  # bytes

# Of a thread. The 8 MiB that are usual, and 64 MiB more for what each thread allocates, count as memory that is used,
# although they are only set aside: with 1 GiB of it qemu-img, which has up to 64 threads, could not start a dozen.
_STACK = 1 << 20  # bytes
_ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}


class ProgramFailed(Exception):
    """The program did not do what it was to do; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a program may use."""

    memory: int  # bytes of address space
    processor_s: int
    file_size: int  # bytes of the largest file it writes
    time_s: float  # on the clock
    open_files: int = 64


def run(
    command: Sequence[str],
    directory: Path,
    bounds: Bounds,
    look: Callable[[str], None] = lambda _: None,
    *,
    users_of_its_own: bool = True,
) -> bytes:
    """Run a program to its end, and return what it writes to its output, the last 256 KiB of it.

    Args:
        directory: In which it runs.
        look: Called about twice a second with what it has written since; what it raises ends the program.
        users_of_its_own: Whether it may see files as owned by nobody, which is the price of a network of its own for
            who is not root. Where it may not, it keeps the network of this process then.

    Raises:
        ProgramFailed: It is not there, failed, or took too long.
    """
    path = shutil.which(command[0])
    if path is None:
        raise ProgramFailed(f"the program {command[0]} is not installed")
    process = subprocess.Popen(  # noqa: S603 - a list, no shell; every file is named by us
        [*_confinement(bounds, users_of_its_own=users_of_its_own), path, *command[1:]],
        cwd=directory,
        env={"PATH": os.defpath, "LC_ALL": "C", "TMPDIR": str(directory), **_ONE_HEAP},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, errors = _watched(process, bounds.time_s, look)
    finally:
        _end(process)
    if process.returncode:
        raise ProgramFailed(_reason(command[0], process.returncode, errors))
    return output


def _watched(process: subprocess.Popen[bytes], time_s: float, look: Callable[[str], None]) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    kept = {process.stdout: b"", process.stderr: b""}
    most = {process.stdout: _OUTPUT_KEPT, process.stderr: _ERRORS_KEPT}
    until, looked, since = time.monotonic() + time_s, time.monotonic(), b""
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(_LOOK_EVERY_S):
                stream = process.stdout if key.fileobj is process.stdout else process.stderr
                part = os.read(key.fd, 64 << 10)
                if not part:
                    selector.unregister(stream)
                kept[stream] = (kept[stream] + part)[-most[stream] :]
                if stream is process.stdout:
                    since = (since + part)[-_ERRORS_KEPT:]
            if time.monotonic() > until:
                raise ProgramFailed(f"it took longer than {time_s:g} s")
            if time.monotonic() - looked > _LOOK_EVERY_S:
                look(since.decode("utf-8", "replace"))
                looked, since = time.monotonic(), b""
    while True:  # it may have closed both, and go on
        try:
            process.wait(_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() > until:
                raise ProgramFailed(f"it took longer than {time_s:g} s") from None
            look("")
        else:
            return kept[process.stdout], kept[process.stderr]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _reason(name: str, code: int, errors: bytes) -> str:
    said = " ".join(errors.decode("utf-8", "replace").split())[-500:]
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"{name} was ended: it used more processor time or memory than it may"
    if code == -signal.SIGXFSZ:
        return f"{name} was ended: its output is larger than an image may be"
    return f"{name} failed ({code}): {said or 'it does not say why'}"


def _confinement(bounds: Bounds, *, users_of_its_own: bool) -> list[str]:
    limits = [
        f"--as={bounds.memory}",
        f"--cpu={bounds.processor_s}",
        f"--fsize={bounds.file_size}",
        f"--nofile={bounds.open_files}",
        f"--stack={_STACK}",
        "--core=0",
    ]
    network = _without_network()
    return [
        *(network if users_of_its_own or "--user" not in network else ()),
        _program("prlimit"),
        *limits,
        "--",
        _program("setpriv"),
        "--pdeathsig",
        "KILL",
        "--no-new-privs",
        "--",
    ]


@cache
def _without_network() -> tuple[str, ...]:
    """Return what gives a program a network of its own, with nothing in it, where this system lets us do so.

    Where it does not, a program still is given no more than names of local files.
    """
    unshare = shutil.which("unshare")
    for options in (("--net",), ("--user", "--net")) if unshare is not None else ():
        command = (str(unshare), *options, "--")
        tried = subprocess.run([*command, _program("true")], capture_output=True, check=False)  # noqa: S603 - as above
        if tried.returncode == 0:
            return command
    return ()


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ProgramFailed(f"the program {name} of util-linux or coreutils is not installed")
    return path
