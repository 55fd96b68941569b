"""Open a posted password with the owner's private key."""

from __future__ import annotations

import binascii
from base64 import b64decode
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from headwater.errors import Invalid, SettingsError


class NothingToOpen(Invalid):
    """What a machine has posted was made by no key."""

    def __init__(self) -> None:
        super().__init__(
            "what the machine has posted is no base64, so no key has encrypted it: see it as it is, without --key"
        )


class KeyUnusable(SettingsError):
    """The file holds no key that opens this."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file, self.problem = file, problem


def opened(posted: str, file: Path, passphrase: bytes | None = None) -> str:
    """Return the password in clear text.

    Args:
        posted: Base64 of what RSA with PKCS#1 v1.5 has made of it, which is how cloudbase-init and Nova do it.
        file: The private key, PEM or as OpenSSH writes it.

    Raises:
        NothingToOpen: It is no base64.
        KeyUnusable: The file cannot be read, is no RSA key, needs another passphrase, or belongs to another public key.
    """
    try:
        sealed = b64decode("".join(posted.split()), validate=True)
    except binascii.Error as error:
        raise NothingToOpen from error
    key = _key(file, passphrase)
    try:
        return key.decrypt(sealed, PKCS1v15()).decode()
    except ValueError:  # without a word of what was found: that would help to guess
        raise KeyUnusable(
            file, "this key does not open the password; take the private half of the machine's first public key"
        ) from None


def _key(file: Path, passphrase: bytes | None) -> RSAPrivateKey:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise KeyUnusable(file, error.strerror or str(error)) from error
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = load(data, passphrase)
    except TypeError:
        raise KeyUnusable(
            file, "the key has a passphrase: set HEADWATER_KEY_PASSPHRASE" if passphrase is None else "it has none"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnusable(file, "this is no private key, or it has another passphrase") from None
    if not isinstance(key, RSAPrivateKey):
        raise KeyUnusable(file, "only RSA keys open passwords; machines make none for a key of another type")
    return key
