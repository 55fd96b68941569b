"""Keep a caller's token with work that goes on after the request, so that only Headwater can read it again.

What is kept lies in the catalogue, whose backups more people read than should act as others. The key is made of the
secret with which Headwater's own user proves itself, which every process has and the catalogue has not.
"""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headwater.errors import HeadwaterError
from headwater.identity.settings import KeystoneSettings

_SALT, _NONCE = 16, 12  # bytes


class TokenUnreadable(HeadwaterError):
    """A token was encrypted by who had another secret, or for something else."""

    def __init__(self) -> None:
        super().__init__(
            "the token of whoever asked cannot be read: the secret of Headwater's own user has changed since, "
            "or differs between its processes; ask again"
        )


class TokenCipher:
    """Encrypts and decrypts (AES-GCM); safe to use from several threads."""

    def __init__(self, settings: KeystoneSettings) -> None:
        """Take the secret, if there is one: without it nothing can be encrypted."""
        secret = settings.application_credential_secret or settings.password
        self._secret = secret.get_secret_value().encode() if secret is not None else b""

    def encrypt(self, token: str, purpose: str) -> str:
        """Return the token as only those can read it who have the secret and know the purpose."""
        salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
        encrypted = self._cipher(salt).encrypt(nonce, token.encode(), purpose.encode())
        return base64.urlsafe_b64encode(salt + nonce + encrypted).decode()

    def decrypt(self, encrypted: str, purpose: str) -> str:
        """Return the token.

        Raises:
            TokenUnreadable: It was encrypted with another secret, or for another purpose.
        """
        try:
            data = base64.urlsafe_b64decode(encrypted)
            salt, nonce, rest = data[:_SALT], data[_SALT : _SALT + _NONCE], data[_SALT + _NONCE :]
            return self._cipher(salt).decrypt(nonce, rest, purpose.encode()).decode()
        except (ValueError, InvalidTag) as error:
            raise TokenUnreadable from error

    def _cipher(self, salt: bytes) -> AESGCM:
        if not self._secret:
            raise TokenUnreadable
        return AESGCM(HKDF(SHA256(), length=32, salt=salt, info=b"headwater: a caller's token").derive(self._secret))
