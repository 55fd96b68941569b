"""Signatures over the binary curves (SECT…), which ``cryptography`` has given up, by the program ``openssl``.

Glance's definition names four of them, and images that were signed so keep their signatures. ``openssl``
gets the certificate, the signature and the digest as files, verifies, and ends; it never sees the data.
Where it is not installed, or was built without these curves, such a signature is refused with that reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

TIMEOUT_S = 10

# Object identifiers 1.3.132.0.36 to 39 (SEC 2), as DER has them.
_CURVES: Mapping[bytes, str] = {
    b"\x2b\x81\x04\x00\x26": "ECC_SECT571K1",
    b"\x2b\x81\x04\x00\x24": "ECC_SECT409K1",
    b"\x2b\x81\x04\x00\x27": "ECC_SECT571R1",
    b"\x2b\x81\x04\x00\x25": "ECC_SECT409R1",
}
KEY_TYPES = tuple(_CURVES.values())

_EC_PUBLIC_KEY = bytes.fromhex("2a8648ce3d0201")  # 1.2.840.10045.2.1
_VERSION, _OBJECT_IDENTIFIER = 0xA0, 0x06


class NotVerifiable(Exception):
    """``openssl`` cannot tell."""


def key_type(certificate: x509.Certificate) -> str | None:
    """Return the type of the certificate's key when that is over a binary curve."""
    try:
        return _key_type(certificate.tbs_certificate_bytes)
    except (IndexError, ValueError):  # its key is described in a form that no curve has
        return None


def _key_type(tbs_certificate: bytes) -> str | None:
    # Source: RFC 5280, 4.1. The library has parsed the certificate, so its parts are where they belong.
    (fields,) = _parts(tbs_certificate)
    parts = [content for tag, content in _parts(fields[1]) if tag != _VERSION]
    key = _parts(parts[5])  # after serial number, signature, issuer, validity and subject
    algorithm = _parts(key[0][1])
    if len(algorithm) != 2 or algorithm[0] != (_OBJECT_IDENTIFIER, _EC_PUBLIC_KEY):
        return None
    tag, curve = algorithm[1]
    return _CURVES.get(curve) if tag == _OBJECT_IDENTIFIER else None


def verify(certificate: x509.Certificate, signature: bytes, digest: bytes, hash_name: str) -> bool:
    """Return whether the certificate's key signed ``digest``.

    Args:
        hash_name: What made the digest, as ``openssl`` calls it: ``sha256``.

    Raises:
        NotVerifiable: There is no ``openssl``, or it does not know the curve.
    """
    program = shutil.which("openssl")
    if program is None:
        raise NotVerifiable("the program openssl is not installed")
    with tempfile.TemporaryDirectory(prefix="headwater-signature-") as name:
        directory = Path(name)
        files = {"certificate": certificate.public_bytes(Encoding.PEM), "signature": signature, "digest": digest}
        for file, content in files.items():
            (directory / file).write_bytes(content)
        words = ["-certin", "-inkey", "certificate", "-sigfile", "signature", "-in", "digest"]
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, and files that we have just written
                [program, "pkeyutl", "-verify", *words, "-pkeyopt", f"digest:{hash_name}"],
                cwd=directory,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotVerifiable("the program openssl does not run") from error
    if done.returncode == 0:
        return True
    if b"Signature Verification Failure" in done.stdout:
        return False
    raise NotVerifiable("the program openssl does not know this curve")


def _parts(der: bytes) -> list[tuple[int, bytes]]:
    """Return the elements that follow each other in ``der``, each as its tag and its content."""
    found = []
    while der:
        tag, length, start = der[0], der[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[2:start], "big")
        found.append((tag, der[start : start + length]))
        der = der[start + length :]
    return found
