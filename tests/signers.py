"""People who sign images: a key and its certificate for each ``img_signature_key_type``, made by ``openssl``."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from needs import program

KEY_TYPES = ("RSA-PSS", "DSA", "ECC_SECP521R1", "ECC_SECP384R1")
HASH_METHODS = ("SHA-224", "SHA-256", "SHA-384", "SHA-512")
CERTIFICATE_ID = "0f8b9a52-6c1f-4b0e-9a39-6a1f7c1f6d01"


@dataclass(frozen=True)
class Signer:
    """One key of one type."""

    key_type: str
    key: Path
    certificate: Path

    def sign(self, data: bytes, hash_method: str = "SHA-256", *, salt: str = "max") -> bytes:
        """Return what ``openssl dgst -sign`` makes of the data."""
        pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}"]
        options = pss if self.key_type == "RSA-PSS" else []
        return _openssl("dgst", f"-{hash_method.replace('-', '').lower()}", "-sign", self.key, *options, input=data)

    def properties(
        self, data: bytes, hash_method: str = "SHA-256", *, certificate_id: str = CERTIFICATE_ID
    ) -> Mapping[str, str]:
        """Return what an image with this data says when it is signed."""
        return {
            "img_signature": base64.b64encode(self.sign(data, hash_method)).decode(),
            "img_signature_hash_method": hash_method,
            "img_signature_key_type": self.key_type,
            "img_signature_certificate_uuid": certificate_id,
        }


def signer(directory: Path, key_type: str) -> Signer:
    """Make a key of a type, and a certificate that it has signed itself, good for ten days."""
    key, certificate = directory / f"{key_type}.key", directory / f"{key_type}.pem"
    _openssl("genpkey", *_generation(directory, key_type), "-out", key)
    _openssl("req", "-new", "-x509", "-key", key, "-subj", "/CN=signer", "-days", "10", "-out", certificate)
    return Signer(key_type, key, certificate)


def _generation(directory: Path, key_type: str) -> list[str | Path]:
    if key_type == "RSA-PSS":
        return ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    if key_type == "DSA":
        parameters = directory / "dsa-parameters"
        _openssl("genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:1024", "-out", parameters)
        return ["-paramfile", parameters]
    curve = key_type.removeprefix("ECC_").lower()
    return ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}"]


def _openssl(*words: str | Path, input: bytes = b"") -> bytes:  # noqa: A002 - as subprocess calls it
    done = subprocess.run(
        [program("openssl"), *map(str, words)], input=input, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
