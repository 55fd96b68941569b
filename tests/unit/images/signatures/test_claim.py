from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa, utils
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.images.signatures import claim as signatures
from headwater.images.signatures.certificates import CertificateUnusable, parsed
from headwater.images.signatures.claim import (
    BINARY_CURVES,
    HASHES,
    KEY_TYPES,
    PROPERTIES,
    BadSignatureProperty,
    CertificateOutOfDate,
    Claim,
    KeyTypeMismatch,
    KeyTypeNotVerified,
    SignatureWrong,
)
from signers import CERTIFICATE_ID, HASH_METHODS, Signer, signer
from signers import KEY_TYPES as SIGNED_TYPES

DATA = bytes(range(256)) * 20
NOW = datetime.now(UTC) + timedelta(hours=1)  # after every certificate that a test makes

_KEY = ec.generate_private_key(ec.SECP256R1())
_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example")])
EXAMPLE = (
    x509.CertificateBuilder(_NAME, _NAME, _KEY.public_key(), 1, NOW - timedelta(1), NOW + timedelta(1))
    .sign(_KEY, hashes.SHA256())
    .public_bytes(serialization.Encoding.DER)
)

GetSigner = Callable[[str], Signer]


@pytest.fixture(scope="module")
def signed_by(tmp_path_factory: pytest.TempPathFactory) -> GetSigner:
    """The signer of a key type, made at its first use."""
    made: dict[str, Signer] = {}

    def get(key_type: str) -> Signer:
        if key_type not in made:
            made[key_type] = signer(tmp_path_factory.mktemp("signer"), key_type)
        return made[key_type]

    return get


def certificate_of(signer: Signer) -> x509.Certificate:
    return x509.load_pem_x509_certificate(signer.certificate.read_bytes())


def claim_of(properties: Mapping[str, str]) -> Claim:
    claim = Claim.of(properties)
    assert claim is not None
    return claim


def judge(claim: Claim, certificate: x509.Certificate, data: bytes) -> None:
    """Do as an upload does, with the data in pieces of seven bytes."""
    claim.require_fitting(certificate, NOW)
    digest = claim.new_hash()
    for start in range(0, len(data), 7):
        digest.update(memoryview(data)[start : start + 7])
    claim.verify(certificate, digest.digest())


@pytest.mark.parametrize("hash_method", HASH_METHODS)
@pytest.mark.parametrize("key_type", SIGNED_TYPES)
def test_what_openssl_signs_holds_and_for_no_other_data(signed_by: GetSigner, key_type: str, hash_method: str) -> None:
    who = signed_by(key_type)
    claim = claim_of(who.properties(DATA, hash_method))
    judge(claim, certificate_of(who), DATA)
    for other in (DATA[:-1], DATA + b"\0", b"", bytes([DATA[0] ^ 1]) + DATA[1:]):
        with pytest.raises(SignatureWrong):
            judge(claim, certificate_of(who), other)


def by_the_library(key_file: Path, hash_: hashes.HashAlgorithm) -> bytes:
    """Sign as openstacksdk's ImageSigner does: the digest, with what ``cryptography`` offers."""
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    digest = hashlib.new(hash_.name, DATA).digest()
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(hash_), padding.PSS.MAX_LENGTH)
        return key.sign(digest, pss, utils.Prehashed(hash_))
    if isinstance(key, dsa.DSAPrivateKey):
        return key.sign(digest, utils.Prehashed(hash_))
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.sign(digest, ec.ECDSA(utils.Prehashed(hash_)))


@pytest.mark.parametrize("hash_method", HASH_METHODS)
@pytest.mark.parametrize("key_type", SIGNED_TYPES)
def test_what_the_clients_library_signs_holds(signed_by: GetSigner, key_type: str, hash_method: str) -> None:
    who = signed_by(key_type)
    signature = base64.b64encode(by_the_library(who.key, HASHES[hash_method])).decode()
    properties = {**who.properties(DATA, hash_method), "img_signature": signature}
    judge(claim_of(properties), certificate_of(who), DATA)


def test_every_type_and_method_of_the_definition_is_known() -> None:
    assert set(KEY_TYPES) == set(SIGNED_TYPES)
    assert tuple(HASHES) == HASH_METHODS


@pytest.mark.parametrize("absent", PROPERTIES)
def test_with_three_properties_nothing_is_claimed(absent: str) -> None:
    """Source: 14.1; verification takes all four."""
    some = {name: "nonsense" for name in PROPERTIES if name != absent}
    assert Claim.of(some) is None
    assert Claim.of({}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("img_signature", "not base64!"),
        ("img_signature", "YQ"),
        ("img_signature", ""),
        ("img_signature", "ä"),
        ("img_signature_hash_method", "MD5"),
        ("img_signature_hash_method", "sha256"),
        ("img_signature_hash_method", ""),
        ("img_signature_key_type", "RSA"),
        ("img_signature_key_type", "ECC_SECP256R1"),
        ("img_signature_certificate_uuid", "../../etc/passwd"),
        ("img_signature_certificate_uuid", CERTIFICATE_ID.replace("-", "")),
        ("img_signature_certificate_uuid", f"{CERTIFICATE_ID}\n"),
        ("img_signature_certificate_uuid", f"{CERTIFICATE_ID}/payload"),
        ("img_signature_certificate_uuid", ""),
    ],
)
def test_a_property_that_says_nothing_is_named(name: str, value: str) -> None:
    properties = {
        "img_signature": "YWJj",
        "img_signature_hash_method": "SHA-256",
        "img_signature_key_type": "RSA-PSS",
        "img_signature_certificate_uuid": CERTIFICATE_ID,
        name: value,
    }
    with pytest.raises(BadSignatureProperty, match=f"property {name} "):
        Claim.of(properties)


def test_what_python_shows_of_bytes_is_named_as_such() -> None:
    properties = dict.fromkeys(PROPERTIES, CERTIFICATE_ID) | {
        "img_signature": "b'YWJj'",
        "img_signature_hash_method": "SHA-256",
        "img_signature_key_type": "RSA-PSS",
    }
    with pytest.raises(BadSignatureProperty, match="take that off"):
        Claim.of(properties)


def test_base64_may_have_the_line_breaks_of_the_shell(signed_by: GetSigner) -> None:
    who = signed_by("RSA-PSS")
    wrapped = base64.encodebytes(who.sign(DATA)).decode()
    assert "\n" in wrapped.strip()
    judge(claim_of({**who.properties(DATA), "img_signature": wrapped}), certificate_of(who), DATA)


def test_a_key_of_another_type_does_not_fit(signed_by: GetSigner) -> None:
    for wanted, found in (
        ("RSA-PSS", "ECC_SECP384R1"),
        ("ECC_SECP521R1", "ECC_SECP384R1"),
        ("DSA", "ECC_SECP521R1"),
        ("ECC_SECP384R1", "RSA-PSS"),
    ):
        claim = claim_of({**signed_by(found).properties(DATA), "img_signature_key_type": wanted})
        with pytest.raises(KeyTypeMismatch, match=f"is of type {found}, and .* says {wanted}"):
            claim.require_fitting(certificate_of(signed_by(found)), NOW)


def test_another_key_of_the_same_type_did_not_sign(signed_by: GetSigner, tmp_path: Path) -> None:
    for key_type in ("RSA-PSS", "DSA", "ECC_SECP384R1"):
        with pytest.raises(SignatureWrong):
            judge(claim_of(signed_by(key_type).properties(DATA)), certificate_of(signer(tmp_path, key_type)), DATA)


@pytest.mark.parametrize("key_type", ["RSA-PSS", "DSA", "ECC_SECP384R1", "ECC_SECP521R1"])
def test_another_hash_method_than_was_signed_is_wrong(signed_by: GetSigner, key_type: str) -> None:
    who = signed_by(key_type)
    claim = claim_of({**who.properties(DATA, "SHA-256"), "img_signature_hash_method": "SHA-384"})
    with pytest.raises(SignatureWrong):
        judge(claim, certificate_of(who), DATA)


@pytest.mark.parametrize("signature", [b"\0", b"x" * 256, b"\x30\x80\0\0", b"x" * 5000])
@pytest.mark.parametrize("key_type", ["RSA-PSS", "DSA", "ECC_SECP384R1", "ECC_SECP521R1"])
def test_nonsense_for_a_signature_is_wrong(signed_by: GetSigner, key_type: str, signature: bytes) -> None:
    who = signed_by(key_type)
    claim = claim_of({**who.properties(DATA), "img_signature": base64.b64encode(signature).decode()})
    with pytest.raises(SignatureWrong):
        judge(claim, certificate_of(who), DATA)


@pytest.mark.parametrize("salt", ["digest", "0", "20"])
def test_a_salt_of_another_length_holds_as_it_does_for_glance(signed_by: GetSigner, salt: str) -> None:
    who = signed_by("RSA-PSS")
    signature = base64.b64encode(who.sign(DATA, salt=salt)).decode()
    judge(claim_of({**who.properties(DATA), "img_signature": signature}), certificate_of(who), DATA)


def test_a_signature_of_rsa_without_pss_is_wrong(signed_by: GetSigner) -> None:
    who = signed_by("RSA-PSS")
    key = serialization.load_pem_private_key(who.key.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    older = base64.b64encode(key.sign(DATA, padding.PKCS1v15(), hashes.SHA256())).decode()
    with pytest.raises(SignatureWrong):
        judge(claim_of({**who.properties(DATA), "img_signature": older}), certificate_of(who), DATA)


def test_a_signature_over_the_md5_is_wrong(signed_by: GetSigner) -> None:
    """OSSN-0061."""
    who = signed_by("RSA-PSS")
    over_md5 = who.properties(hashlib.md5(DATA).hexdigest().encode())
    with pytest.raises(SignatureWrong):
        judge(claim_of(over_md5), certificate_of(who), DATA)


def test_a_certificate_counts_from_its_first_to_its_last_second(signed_by: GetSigner) -> None:
    who = signed_by("DSA")
    certificate, claim = certificate_of(who), claim_of(who.properties(DATA))
    claim.require_fitting(certificate, certificate.not_valid_before_utc)
    claim.require_fitting(certificate, certificate.not_valid_after_utc)
    with pytest.raises(CertificateOutOfDate, match="is not valid before"):
        claim.require_fitting(certificate, certificate.not_valid_before_utc - timedelta(seconds=1))
    with pytest.raises(CertificateOutOfDate, match="expired at"):
        claim.require_fitting(certificate, certificate.not_valid_after_utc + timedelta(seconds=1))


@pytest.mark.parametrize("key_type", BINARY_CURVES)
def test_a_signature_over_a_binary_curve_is_refused_before_the_data_with_what_to_sign_with(
    signed_by: GetSigner, key_type: str
) -> None:
    """A real one, by ``openssl``: there is nothing wrong with it but its curve."""
    who = signed_by(key_type)
    with pytest.raises(
        KeyTypeNotVerified, match=rf"type {key_type} cannot be verified here: .* ECC_SECP384R1"
    ) as caught:
        Claim.of(who.properties(DATA))
    assert caught.value.key_type == key_type


def test_a_certificate_over_a_binary_curve_fits_no_claim(signed_by: GetSigner) -> None:
    claim = claim_of({**signed_by("ECC_SECT571K1").properties(DATA), "img_signature_key_type": "ECC_SECP521R1"})
    with pytest.raises(KeyTypeMismatch, match=r"is of type unknown, and .* says ECC_SECP521R1"):
        claim.require_fitting(certificate_of(signed_by("ECC_SECT571K1")), NOW)


def test_a_key_that_is_too_short_for_its_hash_is_no_crash(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "short")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - timedelta(1), NOW + timedelta(1))
    ).sign(key, hashes.SHA256())
    properties = {
        "img_signature": "YWJj",
        "img_signature_hash_method": "SHA-512",
        "img_signature_key_type": "RSA-PSS",
        "img_signature_certificate_uuid": CERTIFICATE_ID,
    }
    with pytest.raises((SignatureWrong, KeyTypeNotVerified)):
        judge(claim_of(properties), certificate, DATA)


@given(st.fixed_dictionaries({name: st.text() for name in PROPERTIES}))
def test_whatever_the_properties_say_is_a_claim_or_an_error_of_ours(properties: dict[str, str]) -> None:
    with contextlib.suppress(BadSignatureProperty, KeyTypeNotVerified):
        Claim.of(properties)


@given(st.binary(max_size=60), st.sampled_from(range(0, 400)))
@example(b"\xa0\x03\x02\x01\x01", EXAMPLE.index(b"\xa0\x03\x02\x01\x02"))  # a version that no certificate has
@example(b"\xa0\x03\x02\x01\x02\x02\x01\x00", EXAMPLE.index(b"\xa0\x03\x02\x01\x02"))  # the number 0
@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # of 0 or less: cryptography still reads it
def test_a_certificate_that_is_damaged_is_read_or_refused(piece: bytes, place: int) -> None:
    damaged = EXAMPLE[:place] + piece + EXAMPLE[place + len(piece) :]
    with contextlib.suppress(CertificateUnusable):
        certificate = parsed(CERTIFICATE_ID, damaged)
        assert isinstance(signatures.key_type(certificate), str)
