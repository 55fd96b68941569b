"""The clients of LXD and Incus that the distribution ships, and the newest one of Incus; no daemon runs."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from needs import CHECKOUT, not_run
from servers.certificates import Authority

NAMES = ("lxc", "incus", "incus-newest")


@dataclass(frozen=True)
class ImageClient:
    """``lxc`` or ``incus``, with a configuration of its own and one remote ``t:``."""

    program: Path
    environment: dict[str, str]

    def run(self, *words: str | Path) -> str:
        command = [self.program, *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def program_of(name: str) -> Path:
    """Return where a client is; skip the test where neither the distribution nor its mirror has it."""
    place = f".cache/{name}-client"
    program = CHECKOUT / place / "usr" / "bin" / name.partition("-")[0]
    if not program.exists():
        if name != "lxc":
            pytest.skip(f"no such client of Incus could be fetched ({place})")
        not_run(f"the client {name} ({place})")
    return program


def image_client(name: str, url: str, authority: Authority, home: Path) -> ImageClient:
    """Return a client that knows the remote at ``url``; a new one has nothing of it in its cache.

    Args:
        home: A directory that is not there yet.
    """
    home.mkdir()
    places = dict.fromkeys(("HOME", "LXD_CONF", "INCUS_CONF"), str(home))
    environment = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(authority.file), **places}
    client = ImageClient(program_of(name), environment)
    client.run("remote", "add", "t", url, "--protocol=simplestreams")
    return client
