"""The distribution's GnuPG, for tests of what it signs and takes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

LONG_AGO = ("--faked-system-time", "20200101T000000!")  # a clock that stands still, also between two commands


class GnuPG:
    """GnuPG with a home of its own."""

    def __init__(self, home: Path) -> None:
        home.chmod(0o700)
        self.home = home
        self._environment = {**os.environ, "GNUPGHOME": str(home), "LC_ALL": "C"}

    def attempt(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [program, *arguments], env=self._environment, capture_output=True, check=False, timeout=60
        )

    def gpg(self, *arguments: str) -> bytes:
        done = self.attempt("gpg", "--batch", "--pinentry-mode", "loopback", *arguments)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make_key(self, name: str, algorithm: str, password: str = "", options: tuple[str, ...] = ()) -> None:
        user = f"{name} <{name}@example.test>"
        self.gpg(*options, "--passphrase", password, "--quick-gen-key", user, algorithm, "sign,cert", "1y")

    def secret_key(self, name: str, password: str = "", command: str = "--export-secret-keys") -> Path:
        file = self.home / f"{name}.sec.asc"
        file.write_bytes(self.gpg("--armor", "--passphrase", password, command, f"<{name}@example.test>"))
        return file

    def keyring(self, name: str) -> Path:
        file = self.home / f"{name}.gpg"
        file.write_bytes(self.gpg("--export", f"<{name}@example.test>"))
        return file

    def clearsign(self, name: str, text: bytes, options: tuple[str, ...] = ()) -> bytes:
        file = self.home / "text"
        file.write_bytes(text)
        return self.gpg(*options, "--local-user", f"<{name}@example.test>", "--clearsign", "--output", "-", str(file))
