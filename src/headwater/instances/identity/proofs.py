"""What EC2's tools check: the instance identity document, signed as Amazon signs it, and the certificates to check it.

The keys are those of the tokens. No signature of one kind passes for one of another: what a token signs begins with
``eyJ``, a document with ``{``. A certificate is a function of its key, so all processes publish the same bytes, and
nothing but the key is kept.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import NameOID

from headwater.instances.identity.keys import Key, Keys
from headwater.instances.trees.identity_document import DIRECTORY

_LINE = 64  # characters; OpenSSL reads no long ones
_YEARS = 20  # longer than any key is used
_BEFORE = timedelta(hours=1)  # clocks of those who check may be late
# No certificate goes along: whoever checks brings the one to trust, and cannot take one from the message by mistake.
_OPTIONS = (pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoAttributes, pkcs7.PKCS7Options.NoCerts)


class Proofs:
    """Signs documents; safe to use from several threads."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def of(self, name: str, document: bytes) -> str:
        """Return what a document of ``SIGNED`` holds, in lines without a newline at the end: base64, no PEM frame.

        Args:
            document: What is signed.

        Raises:
            Unavailable: The catalogue does not answer.
        """
        return _lines(_MAKERS[name](self._keys.signing(), document))

    def certificates(self) -> bytes:
        """Return the certificates that are good, as PEM: that of the key which signs now first, then the newest.

        Raises:
            Unavailable: The catalogue does not answer.
        """
        signing = self._keys.signing()
        others = [key for key in self._keys.good() if key.id != signing.id]
        return b"".join(certificate(key).public_bytes(Encoding.PEM) for key in (signing, *others))


@lru_cache(maxsize=16)
def certificate(key: Key) -> x509.Certificate:
    """Return the certificate of a key, signed by itself."""
    public = key.private.public_key()
    made_at = datetime.fromtimestamp(key.made_at // 1_000_000, UTC)
    digest = hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"instance identity {key.id}")])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(int.from_bytes(digest[:16], "big") + 1)
        .not_valid_before(made_at - _BEFORE)
        .not_valid_after(made_at + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    return built.sign(key.private, SHA256())


def _signature(key: Key, document: bytes) -> bytes:
    return key.private.sign(document, padding.PKCS1v15(), SHA256())


def _signed_data(key: Key, document: bytes) -> bytes:
    """Return the document within a SignedData of PKCS #7, in DER."""
    builder = pkcs7.PKCS7SignatureBuilder().set_data(document).add_signer(certificate(key), key.private, SHA256())
    return builder.sign(Encoding.DER, _OPTIONS)


def _lines(data: bytes) -> str:
    text = base64.b64encode(data).decode("ascii")
    return "\n".join(text[at : at + _LINE] for at in range(0, len(text), _LINE))


_MAKERS: dict[str, Callable[[Key, bytes], bytes]] = {
    f"{DIRECTORY}/signature": _signature,
    f"{DIRECTORY}/rsa2048": _signed_data,
    f"{DIRECTORY}/pkcs7": _signed_data,
}
SIGNED = frozenset(_MAKERS)
