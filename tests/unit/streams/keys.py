"""Keys made for one test run; nothing secret is kept in the repository."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pysequoia

from headwater.streams.signing.signer import Signer


@dataclass(frozen=True)
class OpenKey:
    """A key without a password: its armor, its signer and its public part."""

    armor: bytes
    signer: Signer
    certificate: pysequoia.Cert


def open_key(validity_s: int | None = None) -> OpenKey:
    key = pysequoia.Tsk.generate("Feed <feed@example.test>", validity_seconds=validity_s)
    armor = str(key).encode()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "key.asc"
        file.write_bytes(armor)
        signer = Signer.load(file)
    return OpenKey(armor, signer, key.extract_certificate())
