"""The real program as a process: `headwater serve` on free ports of loopback, with a data directory of its own.

Nothing outlives the test run. Each process leads a group that is ended with it; when the run itself is
killed the kernel tells the process (``ends_with_its_parent.py``, ``forks.py``).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pytest

from functional import program
from functional.program import Process
from needs import AUTHORITIES
from servers.ports import free_ports
from templates import sqlite_catalogue

READY = "Headwater is ready"
START_S = 60  # two busy cores; a start takes less than a second otherwise
_LONGEST_PAUSE_S = 0.1
_PORTS = 5  # how many pairs are tried, as another process may take one before the server does


class HeadwaterDidNotStart(Exception):
    """The process ended before it was ready, or took too long; the message holds what it said."""

    def __init__(self, code: int | None, stderr: str) -> None:
        super().__init__(f"headwater serve ended with {code}:\n{stderr[-4000:]}")
        self.code, self.stderr = code, stderr


class HeadwaterProcess:
    """One service. ``start`` it, use it, ``stop`` it; it keeps ports and data over a ``restart``."""

    def __init__(
        self,
        directory: Path,
        *,
        toml: str = "",
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        workers: int | None = 1,
        first_start: bool = False,
    ) -> None:
        """Prepare a service; nothing runs yet.

        Args:
            directory: Where its settings, data and output lie; also its working directory.
            toml: What ``headwater.toml`` says.
            env: Variables besides the few that it gets always; none of ours is passed on.
            options: More of the command line of ``serve``.
            workers: ``None`` leaves the number to the settings.
            first_start: It finds no catalogue and makes it, and each start of it is one of Python as well; otherwise
                there is one without images, and starts are forked (``program.py``), which saves two seconds.
        """
        self.directory = directory
        self.data_dir = directory / "data"
        self.config_file = directory / "headwater.toml"
        self.config_file.write_text(toml)
        self._env = {**bare_environment(directory), **(env or {})}
        self._options = [*options, *(["--workers", str(workers)] if workers is not None else [])]
        self._out, self._err = directory / "stdout", directory / "stderr"
        self._starts_anew = first_start
        self._makes_catalogue = first_start or "[database]" in toml
        self._images_port = self._metadata_port = 0
        self._process: Process | None = None

    @property
    def images_url(self) -> str:
        return f"http://127.0.0.1:{self._images_port}"

    @property
    def metadata_url(self) -> str:
        return f"http://127.0.0.1:{self._metadata_port}"

    @property
    def pid(self) -> int:
        """Process id of the supervisor, and id of the group of all its processes."""
        assert self._process is not None, "it was not started"
        return self._process.pid

    def workers(self) -> list[int]:
        """Return the process ids of the workers that run now."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and return when it is ready.

        Raises:
            HeadwaterDidNotStart: It ended, or is not ready after ``START_S``.
        """
        assert not self.is_running(), "it runs already"
        if not self._makes_catalogue and not self.data_dir.exists():
            sqlite_catalogue(self.data_dir / "headwater.db", started=True)
        keep_ports = self._images_port != 0
        for attempt in range(1, _PORTS + 1):
            if not keep_ports:
                self._images_port, self._metadata_port = free_ports(2)
            said = self._err.stat().st_size if self._err.exists() else 0
            try:
                self._start_once()
                return
            except HeadwaterDidNotStart as error:
                if attempt == _PORTS or "cannot listen on" not in error.stderr:
                    raise
                os.truncate(self._err, said)
            if keep_ports:
                time.sleep(1)  # a connection of another test may go out from such a port for a moment

    def _start_once(self) -> None:
        binds = [f"127.0.0.1:{port}" for port in (self._images_port, self._metadata_port)]
        command = ["serve", "--bind", binds[0], "--metadata-bind", binds[1], *self._options]
        began = self._err.stat().st_size if self._err.exists() else 0
        with self._out.open("wb") as out, self._err.open("ab") as err:
            self._process = program.start(
                self._arguments(command),
                directory=self.directory,
                env=self._env,
                stdout=out,
                stderr=err,
                anew=self._starts_anew,
            )
        deadline = time.monotonic() + START_S
        while READY not in self._out.read_text():
            if self._process.poll() is not None or time.monotonic() > deadline:
                code = self._process.poll()
                self.kill()
                raise HeadwaterDidNotStart(code, self._err.read_bytes()[began:].decode(errors="replace"))
            time.sleep(0.01)

    def stop(self, timeout_s: float = 90) -> int:
        """Ask it to stop (SIGTERM), wait for its end, and return its exit code.

        All processes of its group are gone afterwards, also when this fails.

        Raises:
            subprocess.TimeoutExpired: It did not stop in time.
        """
        assert self._process is not None, "it was not started"
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """End every process of its group at once (SIGKILL); what is gone already is fine."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        wait_until(lambda: not self.group_lives(), "the killed processes are gone")

    def group_lives(self) -> bool:
        """Whether a process of its group is left (one that nobody has waited for yet does not count).

        The first thread of a killed process may be gone while another one waits for the disk, and the ports are taken
        until that has ended too.
        """
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.pid and (state not in "ZX" or len(list((stat.parent / "task").iterdir())) > 1):
                    return True
        return False

    def restart(self) -> None:
        """Stop it if it runs, and start it with the same ports and data."""
        if self.is_running():
            self.stop()
        self.start()

    def command(self, *arguments: str | Path, input: bytes | None = None) -> subprocess.CompletedProcess[str]:  # noqa: A002
        """Run another command of ``headwater`` with the same settings and data, and return how it ended."""
        return run_headwater(*self._arguments(arguments), directory=self.directory, env=self._env, input=input)

    def _arguments(self, command: Sequence[str | Path]) -> list[str]:
        places = ["--config", self.config_file, "--data-dir", self.data_dir]
        return [str(word) for word in (*places, *command)]

    def stdout(self) -> str:
        """Return what the last start said on standard output."""
        return self._out.read_text()

    def stderr(self) -> str:
        """Return what all starts said on standard error."""
        return self._err.read_text() if self._err.exists() else ""

    def logs(self) -> list[dict[str, Any]]:
        """Return the lines of the log, oldest first; a line that is not a JSON object fails the test."""
        found = []
        for line in self.stderr().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                pytest.fail(f"a line on standard error is not JSON: {line!r}")
            assert isinstance(event, dict), line
            found.append(event)
        return found

    def requests(self, **fields: object) -> list[dict[str, Any]]:
        """Return the lines of requests with these fields (``path="/v2/images"``), oldest first."""
        return [event for event in self.logs() if event["event"] == "request" and fields.items() <= event.items()]


def run_headwater(
    *arguments: str | Path,
    directory: Path,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,  # noqa: A002 - as subprocess calls it
    timeout_s: float = 60,
    anew: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run one command of ``headwater`` to its end; ``directory`` is its working directory.

    Args:
        anew: As ``program.start`` has it; a command with ``input`` is always.
    """
    words = [str(word) for word in arguments]
    env = {**bare_environment(directory), **(env or {})}
    if input is not None:
        done = subprocess.run(
            [program.program(), *words],
            cwd=directory,
            env=env,
            input=input,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(out: IO[bytes], err: IO[bytes]) -> Process:
        return program.start(words, directory=directory, env=env, stdout=out, stderr=err, anew=anew)

    return program.finished(words, start, timeout_s)


def bare_environment(home: Path) -> dict[str, str]:
    """Return what a program gets of our environment: nothing that would set anything, and another home."""
    place = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home)}
    return {**place, "LC_ALL": "C.UTF-8", "TZ": "UTC", **AUTHORITIES}


def wait_until(holds: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
    """Return when ``holds()`` is true; fail the test when that takes too long.

    It looks again after 10 ms, and more seldom then: each look is often a request, which costs more than what is
    waited for.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = 0.01
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s} s: {what}")
        time.sleep(pause_s)
        pause_s = min(1.3 * pause_s, _LONGEST_PAUSE_S)
