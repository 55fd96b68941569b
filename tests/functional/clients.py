"""Clients that others wrote, run as people run them: a command, its output, its exit code.

Their imports take up to a second, so that they are forked from a process that has done them (``program.py``).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from functional import program
from functional.headwater_process import bare_environment
from functional.program import Process

_TIMEOUT_S = 120


@dataclass(frozen=True)
class Client:
    """A program with the words that every call of it begins with, and a home and working directory of its own."""

    program: Path
    directory: Path
    opening: Sequence[str | Path] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    anew: bool = False  # each call is a start of Python

    def attempt(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run it, and return how it ended."""
        arguments = [str(word) for word in (*self.opening, *words)]
        env = {**bare_environment(self.directory), **self.env}

        def start(out: IO[bytes], err: IO[bytes]) -> Process:
            return program.start_client(
                self.program, arguments, directory=self.directory, env=env, stdout=out, stderr=err, anew=self.anew
            )

        return program.finished([str(self.program), *arguments], start, _TIMEOUT_S)

    def __call__(self, *words: str | Path) -> str:
        """Run it, and return what it printed; the test fails when it fails."""
        done = self.attempt(*words)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *words: str | Path) -> Any:
        """Run it with ``-f json``, and return what that says."""
        return json.loads(self(*words, "-f", "json"))


def openstack(program: Path, directory: Path, url: str) -> Client:
    """Return ``openstack`` for the service at ``url``."""
    return Client(program, directory, ("--os-auth-type", "none", "--os-endpoint", url))


def glance(program: Path, directory: Path, url: str) -> Client:
    """Return ``glance`` for the service at ``url``.

    ``--os-auth-type none`` would be the natural way, but glanceclient 4.13 then ends with
    "'Namespace' object has no attribute 'os_username'"; with a token it asks nobody.
    """
    return Client(program, directory, ("--os-image-url", url, "--os-auth-token", "none"))
