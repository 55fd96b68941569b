"""Keys and signatures of real GnuPG, and ours before real GnuPG: each reads the other's."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from functional.streams.gnupg import LONG_AGO, GnuPG
from headwater.streams.signing.certificates import certificates
from headwater.streams.signing.signer import Signer, SigningKeyUnusable
from headwater.streams.signing.verifying import BadSignature, verify

TEXT = b'{\n "format": "index:1.0",\n "index": {},\n "note": "- \\u2028"\n}\n'
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    made = GnuPG(tmp_path_factory.mktemp("gnupg"))
    made.make_key("rsa", "rsa3072")
    made.make_key("ed", "ed25519")
    made.make_key("locked", "ed25519", PASSWORD)
    made.make_key("old", "ed25519", options=LONG_AGO)
    yield made
    made.attempt("gpgconf", "--kill", "gpg-agent")


def signer(gnupg: GnuPG, name: str) -> Signer:
    if name == "locked":
        return Signer.load(gnupg.secret_key(name, PASSWORD), SecretStr(PASSWORD))
    return Signer.load(gnupg.secret_key(name))


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("name", ["rsa", "ed", "locked"])
def test_gpg_and_gpgv_take_what_we_sign_with_a_key_of_gpg(gnupg: GnuPG, tmp_path: Path, name: str) -> None:
    file = tmp_path / "index.sjson"
    file.write_bytes(signer(gnupg, name).sign(TEXT))
    for done in (
        gnupg.attempt("gpg", "--batch", "--verify", str(file)),
        gnupg.attempt("gpgv", "--keyring", str(gnupg.keyring(name)), str(file)),
    ):
        assert done.returncode == 0, done.stderr.decode()
        assert b"Good signature" in done.stderr
    # gpg prints the line end before the signature too, which belongs to the frame.
    assert gnupg.gpg("--decrypt", str(file)) == TEXT + b"\n"


@pytest.mark.parametrize("name", ["rsa", "ed", "locked"])
def test_gpgv_takes_a_large_text_and_nothing_tells_the_key_of_the_process_that_signed_it(
    gnupg: GnuPG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / "products.sjson"
    started: list[subprocess.Popen[bytes]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    with contextlib.closing(signer(gnupg, name)) as signs:
        with monkeypatch.context() as noting:
            noting.setattr(subprocess, "Popen", Noted)
            file.write_bytes(signs.sign(b"- " + TEXT * 10_000))
        about = Path("/proc", str(started[0].pid))
        told = b"".join((about / place).read_bytes() for place in ("cmdline", "environ"))
    assert b"PRIVATE KEY" not in told
    assert PASSWORD.encode() not in told
    done = gnupg.attempt("gpgv", "--keyring", str(gnupg.keyring(name)), str(file))
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("name", ["rsa", "ed", "locked"])
def test_gpgv_refuses_what_we_signed_once_a_byte_is_changed(gnupg: GnuPG, tmp_path: Path, name: str) -> None:
    file = tmp_path / "index.sjson"
    signed = signer(gnupg, name).sign(TEXT)
    file.write_bytes(signed.replace(b"index:1.0", b"index:1.1"))
    assert file.read_bytes() != signed
    done = gnupg.attempt("gpgv", "--keyring", str(gnupg.keyring(name)), str(file))
    assert done.returncode == 1
    assert b"BAD signature" in done.stderr


@pytest.mark.parametrize("name", ["rsa", "ed"])
@pytest.mark.parametrize("digest", ["SHA256", "SHA512"])
def test_we_read_what_gpg_signed(gnupg: GnuPG, name: str, digest: str) -> None:
    signed = gnupg.clearsign(name, b"- dash  \n\n" + TEXT, ("--digest-algo", digest))
    # The line end before the signature belongs to the frame: gpg signs a text without its last one.
    expected = b"- dash\n\n" + TEXT.removesuffix(b"\n")
    trusted = certificates(gnupg.keyring(name))
    assert verify(signed, trusted, now()) == expected
    assert verify(signed.replace(b"\n", b"\r\n"), trusted, now()) == expected


def test_we_refuse_a_changed_byte_and_another_key(gnupg: GnuPG) -> None:
    signed = gnupg.clearsign("rsa", TEXT)
    with pytest.raises(BadSignature):
        verify(signed.replace(b"index:1.0", b"index:1.1"), certificates(gnupg.keyring("rsa")), now())
    with pytest.raises(BadSignature):
        verify(signed, certificates(gnupg.keyring("ed")), now())


def test_we_refuse_a_signature_whose_key_has_expired_since(gnupg: GnuPG) -> None:
    signed = gnupg.clearsign("old", TEXT, LONG_AGO)
    trusted = certificates(gnupg.keyring("old"))
    assert verify(signed, trusted, datetime(2020, 6, 1, tzinfo=UTC)) == TEXT.removesuffix(b"\n")
    with pytest.raises(BadSignature, match="expired on 2020-12-31"):
        verify(signed, trusted, now())


def test_an_expired_key_does_not_start(gnupg: GnuPG) -> None:
    with pytest.raises(SigningKeyUnusable, match="expired on 2020-12-31"):
        Signer.load(gnupg.secret_key("old"))


def test_a_locked_key_wants_its_password(gnupg: GnuPG) -> None:
    file = gnupg.secret_key("locked", PASSWORD)
    with pytest.raises(SigningKeyUnusable, match="set signing_key_password"):
        Signer.load(file)
    for wrong in ("", "wrong", PASSWORD.upper()):
        with pytest.raises(SigningKeyUnusable, match="does not open it") as refused:
            Signer.load(file, SecretStr(wrong))
        assert str(file) in str(refused.value)


def test_a_signing_subkey_signs_without_the_primary_secret(gnupg: GnuPG, tmp_path: Path) -> None:
    gnupg.gpg("--passphrase", "", "--quick-gen-key", "split <split@example.test>", "ed25519", "cert", "never")
    listing = gnupg.gpg("--with-colons", "--list-keys", "split@example.test").decode().splitlines()
    primary = next(line.split(":")[9] for line in listing if line.startswith("fpr:"))
    gnupg.gpg("--passphrase", "", "--quick-add-key", primary, "ed25519", "sign", "1y")
    subkey_only = Signer.load(gnupg.secret_key("split", command="--export-secret-subkeys"))
    assert subkey_only.fingerprint == primary
    file = tmp_path / "index.sjson"
    file.write_bytes(subkey_only.sign(TEXT))
    done = gnupg.attempt("gpgv", "--keyring", str(gnupg.keyring("split")), str(file))
    assert done.returncode == 0, done.stderr.decode()
    ring = certificates(gnupg.keyring("split"))
    assert verify(file.read_bytes(), ring, now()) == TEXT
    with pytest.raises(BadSignature, match=r"signing subkey [0-9A-F]{40} expired"):
        verify(file.read_bytes(), ring, now().replace(year=now().year + 2, day=1))


def test_a_public_keyring_made_here_is_taken_by_gpg(gnupg: GnuPG, tmp_path: Path) -> None:
    file = tmp_path / "ours.asc"
    file.write_text(signer(gnupg, "ed").armored_certificate())
    shown = gnupg.gpg("--with-colons", "--show-keys", str(file)).decode()
    assert signer(gnupg, "ed").fingerprint in shown
