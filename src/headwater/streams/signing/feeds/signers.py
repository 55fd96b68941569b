"""Who signs the documents of a feed: one key, or several for those who ask for it.

Of a document with several signatures readers that hold one of the keys think differently: gpgv, and with it the
simplestreams tools, refuse it, Juju takes it. A new key is brought to readers better by a keyring that holds both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import pysequoia
from pysequoia import Cert
from pysequoia.packet import PacketPile

from headwater.streams.signing import clearsign

Keyrings = Mapping[str, Sequence[Cert]]  # what readers have, by a name to call it


class SignsDocuments(Protocol):
    """A key that signs, as ``signer.Signer`` and ``gpg.GpgSigner`` do."""

    @property
    def certificate(self) -> Cert:
        """The public part, for readers."""

    @property
    def fingerprint(self) -> str:
        """Of the certificate, upper-case hex."""

    @property
    def expires_at(self) -> datetime | None:
        """From when on it does not sign any more; ``None``: never."""

    def sign(self, text: bytes) -> bytes:
        """Return ``text`` clear-signed."""

    def sign_detached(self, document: bytes) -> bytes:
        """Return an armored signature of ``document``."""

    def close(self) -> None:
        """Let go of it."""


class SeveralSigners:
    """Signs with each of several keys; the first one is its face."""

    def __init__(self, signers: Sequence[SignsDocuments]) -> None:
        self._signers = signers

    @property
    def certificate(self) -> Cert:
        """That of the first key."""
        return self._signers[0].certificate

    @property
    def fingerprint(self) -> str:
        """That of the first key."""
        return self._signers[0].fingerprint

    @property
    def expires_at(self) -> datetime | None:
        """When the first of the keys ends; ``None``: none does."""
        return min((end for each in self._signers if (end := each.expires_at) is not None), default=None)

    def sign(self, text: bytes) -> bytes:
        """Return ``text`` clear-signed by each key, with one ``Hash:`` line."""
        parts = [clearsign.parse(each.sign(text)) for each in self._signers]
        hashes = tuple(dict.fromkeys(name for part in parts for name in part.hashes))
        return replace(parts[0], hashes=hashes, signature=_joined([part.signature for part in parts])).to_bytes()

    def sign_detached(self, document: bytes) -> bytes:
        """Return the signatures of ``document`` by each key in one armor."""
        return _joined([each.sign_detached(document) for each in self._signers])

    def close(self) -> None:
        """Let go of each key."""
        for each in self._signers:
            each.close()


def _joined(signatures: Sequence[bytes]) -> bytes:
    packets = [bytes(packet) for signature in signatures for packet in PacketPile.from_bytes(signature)]
    return pysequoia.armor(b"".join(packets), pysequoia.ArmorKind.Signature).encode("ascii")
