from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysequoia
import pytest
from pydantic import SecretStr

from headwater.cli import exits
from headwater.errors import Invalid, SettingsError, Unavailable
from headwater.streams.signing.certificates import CertificatesUnreadable, certificates
from headwater.streams.signing.signer import Signer, SigningKeyExpired, SigningKeyUnusable
from headwater.streams.signing.texts import TextNotSignable
from headwater.streams.signing.verifying import BadSignature, verify
from unit.streams.keys import OpenKey, open_key

TEXT = b'{\n "a": "- b",\n "c": []\n}\n'


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


def now() -> datetime:
    return datetime.now(UTC)


def test_what_we_sign_we_read(key: OpenKey) -> None:
    assert verify(key.signer.sign(TEXT), [key.certificate], now()) == TEXT


def test_a_signed_document_has_exactly_one_header_line(key: OpenKey) -> None:
    lines = key.signer.sign(TEXT).split(b"\n")
    assert lines[0] == b"-----BEGIN PGP SIGNED MESSAGE-----"
    assert lines[1].startswith(b"Hash: SHA")
    assert lines[2] == b""
    assert lines[3] == b"{"
    assert b"".join(lines).count(b"Hash:") == 1
    assert b"Comment" not in b"".join(lines)


def test_every_changed_byte_of_the_text_is_noticed(key: OpenKey) -> None:
    signed = key.signer.sign(TEXT)
    start = signed.index(TEXT)
    for position in range(start, start + len(TEXT) - 1):
        changed = bytearray(signed)
        changed[position] ^= 1
        with pytest.raises(Invalid):
            verify(bytes(changed), [key.certificate], now())


def test_a_document_with_other_line_ends_is_the_same_document(key: OpenKey) -> None:
    assert verify(key.signer.sign(TEXT).replace(b"\n", b"\r\n"), [key.certificate], now()) == TEXT


def test_nobody_else_s_signature_is_good(key: OpenKey) -> None:
    other = pysequoia.Tsk.generate("other").extract_certificate()
    for trusted in ([], [other]):
        with pytest.raises(
            BadSignature, match=r"none of the known keys.*; if that is the key of its publisher, name a keyring"
        ):
            verify(key.signer.sign(TEXT), trusted, now())


def test_one_trusted_key_of_several_is_enough(key: OpenKey) -> None:
    other = pysequoia.Tsk.generate("other").extract_certificate()
    assert verify(key.signer.sign(TEXT), [other, key.certificate], now()) == TEXT


def test_a_text_that_the_signature_would_not_cover_is_refused(key: OpenKey) -> None:
    for text in (b"a \n", b"a\t", b"a\r\nb"):
        with pytest.raises(TextNotSignable):
            key.signer.sign(text)


def test_a_signature_that_is_no_openpgp_data_is_refused(key: OpenKey) -> None:
    signed = key.signer.sign(TEXT)
    head, _, _ = signed.partition(b"-----BEGIN PGP SIGNATURE-----")
    for armor in (b"", b"AAAA\n", b"\xff\n", b"\nwsE7BAEB\n=abcd\n"):
        with pytest.raises(BadSignature):
            verify(
                head + b"-----BEGIN PGP SIGNATURE-----\n" + armor + b"-----END PGP SIGNATURE-----\n",
                [key.certificate],
                now(),
            )


def test_a_key_that_has_expired_vouches_for_nothing() -> None:
    made = pysequoia.Tsk.generate("short", validity_seconds=3600)
    signer = pysequoia.sign(made.signer(), TEXT, mode=pysequoia.SignatureMode.CLEAR)
    trusted = [made.extract_certificate()]
    assert verify(signer, trusted, now()) == TEXT
    with pytest.raises(BadSignature, match=r"expired on 2\d{3}-.*; get the key anew from its publisher"):
        verify(signer, trusted, now() + timedelta(hours=2))


def test_a_revoked_key_vouches_for_nothing_and_does_not_start(tmp_path: Path) -> None:
    made = pysequoia.Tsk.generate("lost")
    signed = pysequoia.sign(made.signer(), TEXT, mode=pysequoia.SignatureMode.CLEAR)
    revocation = bytes(made.extract_certificate().revoke(made.certifier()))
    public = pysequoia.Cert.from_bytes(bytes(made.extract_certificate()) + revocation)
    with pytest.raises(BadSignature, match="is revoked; have the document signed with another key"):
        verify(signed, [public], now())
    file = tmp_path / "key"
    file.write_bytes(bytes(made) + revocation)
    with pytest.raises(SigningKeyUnusable, match="revoked"):
        Signer.load(file)


def test_a_signer_stops_when_its_key_expires(tmp_path: Path) -> None:
    made = pysequoia.Tsk.generate("short", validity_seconds=3600)
    file = tmp_path / "key.asc"
    file.write_text(str(made))
    moment = [now()]
    signer = Signer.load(file, clock=lambda: moment[0])
    assert signer.sign(TEXT)
    moment[0] += timedelta(hours=2)
    with pytest.raises(SigningKeyExpired, match="expired on") as stopped:
        signer.sign(TEXT)
    assert isinstance(stopped.value, Unavailable)
    assert str(file) in str(stopped.value)
    with pytest.raises(SigningKeyUnusable, match="expired on"):
        Signer.load(file, clock=lambda: moment[0])


def test_a_file_that_can_not_sign_stops_the_start_and_is_named(tmp_path: Path, key: OpenKey) -> None:
    public, garbage, empty = tmp_path / "public.asc", tmp_path / "garbage", tmp_path / "empty"
    public.write_text(key.signer.armored_certificate())
    garbage.write_bytes(b"\x00\xff" * 50)
    empty.write_bytes(b"")
    for file, problem in (
        (public, "public key only"),
        (garbage, "no OpenPGP secret key"),
        (empty, "no OpenPGP secret key"),
        (tmp_path / "absent", "No such file"),
        (tmp_path, "directory"),
    ):
        with pytest.raises(SigningKeyUnusable, match=problem) as refused:
            Signer.load(file)
        assert isinstance(refused.value, SettingsError)
        assert str(file) in str(refused.value)
        assert "\n" not in str(refused.value)


def test_a_password_for_a_key_without_one_is_refused_and_not_shown(tmp_path: Path, key: OpenKey) -> None:
    file = tmp_path / "key.asc"
    file.write_bytes(key.armor)
    with pytest.raises(SigningKeyUnusable, match="does not open it") as refused:
        Signer.load(file, SecretStr("hunter2"))
    assert "hunter2" not in str(refused.value)


def test_the_public_part_is_a_keyring_for_readers(tmp_path: Path, key: OpenKey) -> None:
    file = tmp_path / "ring.asc"
    file.write_text(key.signer.armored_certificate())
    assert b"PRIVATE" not in file.read_bytes()
    ring = certificates(file)
    assert [certificate.fingerprint.upper() for certificate in ring] == [key.signer.fingerprint]
    assert verify(key.signer.sign(TEXT), ring, now()) == TEXT


def test_a_file_without_certificates_is_no_keyring(tmp_path: Path) -> None:
    for content in (b"", b"garbage"):
        (tmp_path / "ring").write_bytes(content)
        with pytest.raises(CertificatesUnreadable, match="no OpenPGP certificate"):
            certificates(tmp_path / "ring")
    with pytest.raises(CertificatesUnreadable, match="No such file"):
        certificates(tmp_path / "absent")


def test_threads_may_sign_at_once(key: OpenKey) -> None:
    texts = [b'{"n": %d}\n' % number for number in range(16)]
    with ThreadPoolExecutor(4) as pool:
        signed = list(pool.map(key.signer.sign, texts))
    assert [verify(one, [key.certificate], now()) for one in signed] == texts


def test_a_command_that_reads_what_is_badly_signed_was_no_wrong_use(key: OpenKey) -> None:
    for signed in (key.signer.sign(TEXT)[:-40], key.signer.sign(TEXT).replace(b"a", b"b"), TEXT):
        with pytest.raises(Invalid) as refused:
            verify(signed, [key.certificate], now())
        assert exits.code_of(refused.value) == exits.FAILED
