"""Clients that others wrote, run as people run them: a command, its output, its exit code."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functional.headwater_process import bare_environment

_TIMEOUT_S = 120
# `glance image-create` takes whatever standard input is for the image, unless it is closed.
_WITHOUT_INPUT = ("sh", "-c", 'exec "$@" <&-', "sh")


@dataclass(frozen=True)
class Client:
    """A program with the words that every call of it begins with, and a home and working directory of its own."""

    program: Path
    directory: Path
    opening: Sequence[str | Path] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def attempt(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run it, and return how it ended."""
        return subprocess.run(
            [*_WITHOUT_INPUT, str(self.program), *map(str, self.opening), *map(str, words)],
            cwd=self.directory,
            env={**bare_environment(self.directory), **self.env},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )

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
