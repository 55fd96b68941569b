"""Sign with a key that gpg-agent holds: on a smart card, behind a password prompt, or forwarded from elsewhere.

GnuPG's own program asks its agent, so the secret key never comes here. What it writes is brought into the plainest form
of ``clearsign.py`` and has one ``Hash:`` line.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from pysequoia import Cert, Sig

from headwater.errors import SettingsError, Unavailable
from headwater.streams.signing import clearsign
from headwater.streams.signing.certificates import certificate_problem, end_of_key, tried
from headwater.streams.signing.texts import require_signable

_PATIENCE_S: Final = 300.0  # somebody may have to be found who knows the password
_QUIET: Final = ("--batch", "--no-tty", "--quiet", "--no-comments", "--no-emit-version", "--digest-algo", "SHA512")


class GpgKeyUnusable(SettingsError):
    """GnuPG has no such key, or there is no GnuPG."""

    def __init__(self, fingerprint: str, problem: str) -> None:
        super().__init__(f"key {fingerprint} of gpg: {problem}")
        self.fingerprint, self.problem = fingerprint, problem


class GpgDoesNotSign(Unavailable):
    """GnuPG did not sign: its agent is not there, or nobody gave the password."""

    def __init__(self, fingerprint: str, problem: str) -> None:
        super().__init__(f"gpg does not sign with the key {fingerprint}: {problem}")
        self.fingerprint, self.problem = fingerprint, problem


class GpgSigner:
    """One key of gpg-agent; signs as ``signer.Signer`` does."""

    def __init__(
        self, fingerprint: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC), program: str = "gpg"
    ) -> None:
        """Look the key up, and sign a trial with it.

        Args:
            fingerprint: Of the key, or of one of its subkeys; what ``gpg --local-user`` takes.

        Raises:
            GpgKeyUnusable: There is no gpg, it does not know the key, or the key is not in force.
            GpgDoesNotSign: As it says.
        """
        self._named, self._program = "".join(fingerprint.split()), program
        exported = self._run(["--export", "--", self._named])
        if not exported:
            raise GpgKeyUnusable(self._named, "it does not know it (gpg --list-secret-keys)")
        found = tried(
            lambda: Cert.split_bytes(exported), lambda _: GpgKeyUnusable(self._named, "what it exports cannot be read")
        )
        if len(found) != 1:
            raise GpgKeyUnusable(self._named, f"that names {len(found)} keys; give the whole fingerprint of one")
        self.certificate = found[0]
        problem = tried(
            lambda: certificate_problem(self.certificate, clock()),
            lambda said: GpgKeyUnusable(self._named, f"readers would refuse it: {said}"),
        )
        if problem:
            raise GpgKeyUnusable(self._named, problem)
        self._key = Sig.from_bytes(self.sign_detached(b"trial")).issuer_fingerprint or self.certificate.fingerprint

    @property
    def fingerprint(self) -> str:
        """The certificate's fingerprint, upper-case hex as gpg prints it."""
        return self.certificate.fingerprint.upper()

    @property
    def expires_at(self) -> datetime | None:
        """From when on it does not sign any more; ``None``: never."""
        return end_of_key(self.certificate, self._key)

    def sign(self, text: bytes) -> bytes:
        """Return ``text`` clear-signed, with exactly one ``Hash:`` line.

        Raises:
            TextNotSignable: A line of ``text`` ends in a blank or carriage return.
            GpgDoesNotSign: As it says.
        """
        require_signable(text)
        # gpg takes the last line end for that of the frame, so it is given one of its own.
        signed = self._run(["--local-user", self._named, "--clearsign", "--output", "-"], text + b"\n")
        return clearsign.parse(signed).to_bytes()

    def sign_detached(self, document: bytes) -> bytes:
        """Return an armored signature of ``document`` as it is, to lie beside it.

        Raises:
            GpgDoesNotSign: As it says.
        """
        return self._run(["--local-user", self._named, "--armor", "--detach-sign", "--output", "-"], document)

    def close(self) -> None:
        """Nothing is kept open; the agent is not ours."""

    def _run(self, arguments: list[str], given: bytes = b"") -> bytes:
        command = [self._program, *_QUIET, *arguments]
        try:
            done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=_PATIENCE_S)  # noqa: S603 - no shell
        except FileNotFoundError as error:
            raise GpgKeyUnusable(self._named, f"there is no program {self._program}; install GnuPG") from error
        except subprocess.TimeoutExpired as error:
            raise GpgDoesNotSign(self._named, f"no answer in {_PATIENCE_S:.0f} s") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or [f"it ended with {done.returncode}"]
            raise GpgDoesNotSign(self._named, said[-1])
        return done.stdout
