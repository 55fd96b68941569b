"""Secrets that stand in the catalogue, encrypted with a key that does not: AES key wrap (RFC 5649), which is for that.

What is sealed reads ``s1.KEY.DATA``: ``KEY`` tells which key opens it, ``DATA`` is base64url. A secret of 32 bytes
makes 64 characters. What was kept before there was a key has none of this, and is read as it is.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding, aes_key_wrap_with_padding

from headwater.errors import SettingsError, Unavailable

KEY_BYTES = 32
_MARK = "s1."
_ID = 6  # characters
_LIMIT = 64 << 10  # bytes of a file of keys
_WHERE = "section [metadata], key 'key_file'"
_MAKE = "'openssl rand -base64 32' makes one; all replicas need the same"


class SealUnknown(Unavailable):
    """A secret of the catalogue is encrypted with a key that is not here."""

    def __init__(self, what: str, key_id: str) -> None:
        super().__init__(
            f"{what} in the catalogue is encrypted with the key {key_id}, which the key file does not have ({_WHERE}; "
            "by default headwater.db-key beside the catalogue): bring the file that has it, or give up what was "
            "signed, with 'headwater instance rotate-identity-keys --revoke' and "
            "'headwater instance rotate-tokens --revoke'"
        )
        self.what, self.key_id = what, key_id


class Seal:
    """Encrypts and opens secrets; safe to use from several threads."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        """Take keys of ``KEY_BYTES``: the first one encrypts, all of them open; with none, nothing is encrypted."""
        self._keys = {_id_of(key): key for key in keys}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def closed(self, secret: bytes) -> str:
        """Return a secret as it may be kept; there has to be a key."""
        key_id, key = next(iter(self._keys.items()))
        data = base64.urlsafe_b64encode(aes_key_wrap_with_padding(key, secret)).rstrip(b"=").decode()
        return f"{_MARK}{key_id}.{data}"

    def opened(self, kept: str, what: str) -> bytes | None:
        """Return the secret that ``closed`` has made of it; ``None``: it is not encrypted.

        Args:
            what: What it is, as people know it.

        Raises:
            SealUnknown: It needs another key.
        """
        if not kept.startswith(_MARK):
            return None
        key_id, _, data = kept.removeprefix(_MARK).partition(".")
        key = self._keys.get(key_id)
        try:
            if key is None:
                raise SealUnknown(what, key_id)
            return aes_key_unwrap_with_padding(key, base64.urlsafe_b64decode(f"{data}=="))
        except (InvalidUnwrap, binascii.Error, ValueError) as error:
            raise SealUnknown(what, key_id) from error


NO_SEAL = Seal()


def _id_of(key: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(b"headwater seal " + key).digest())[:_ID].decode()


def seal_of(file: Path | None, database: Path | None, *, may_make: bool = True) -> Seal:
    """Return what seals by the settings.

    Args:
        file: The one that these name; ``None``: none.
        database: That of SQLite, beside which a key is made and kept where none is named; ``None``: it is no file.
        may_make: Whether one is made; otherwise nothing is encrypted where there is none.

    Raises:
        SettingsError: The file cannot be read, or holds something else.
    """
    if file is not None:
        return Seal(_keys_in(file))
    if database is None:
        return NO_SEAL
    own = database.with_name(f"{database.name}-key")
    if not own.exists():
        if not may_make:
            return NO_SEAL
        _make(own)
    return Seal(_keys_in(own))


def check_seal(file: Path | None, database: Path | None) -> None:
    """Raise what ``seal_of`` would, and make no key."""
    seal_of(file, database, may_make=False)


def _make(file: Path) -> None:
    """Write a new key, unless another process is quicker."""
    try:
        with tempfile.NamedTemporaryFile(prefix=f"{file.name}-", dir=file.parent) as part:  # its owner's alone
            part.write(base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
            part.flush()
            os.fsync(part.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(part.name, file)
    except OSError as error:
        raise SettingsError(f"cannot write the key file {file}: {error.strerror}; {_WHERE} may name another") from error


def _keys_in(file: Path) -> list[bytes]:
    try:
        with file.open("rb") as opened:
            data = opened.read(_LIMIT + 1)
    except OSError as error:
        raise SettingsError(f"{_WHERE}: cannot read {file}: {error.strerror}; {_MAKE}") from error
    keys = []
    for number, line in enumerate(data[:_LIMIT].split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            key = base64.b64decode(line.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise SettingsError(
                f"{_WHERE}: line {number} of {file} is no key, which is base64 of {KEY_BYTES} bytes; {_MAKE}"
            )
        keys.append(key)
    if not keys:
        raise SettingsError(f"{_WHERE}: {file} holds no key; {_MAKE}")
    return keys
