"""Feeds signed and verified by commands, before real GnuPG; and what GnuPG signs in every way, read by us."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from functional.streams.gnupg import LONG_AGO, GnuPG
from headwater.cli.main import app
from headwater.streams.signing.certificates import CertificatesUnreadable, certificates
from headwater.streams.signing.clearsign import NotClearSigned
from headwater.streams.signing.gpg import GpgDoesNotSign, GpgKeyUnusable, GpgSigner
from headwater.streams.signing.signer import Signer, SigningKeyUnusable
from headwater.streams.signing.verifying import BadSignature, verified, verified_detached

TEXT = b'{\n "format": "index:1.0",\n "index": {},\n "numbers": [\n-1\n ]\n}'
WHERE = ("--region", "R", "--endpoint", "http://keystone/v3", "--version", "24.04")
OLD_CERTIFICATION = ("--cert-digest-algo", "SHA1", "--allow-weak-key-signatures")
ALL = ["rsa", "ed", "nist", "subkey", "old-certification"]


@pytest.fixture(scope="module")
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    made = GnuPG(tmp_path_factory.mktemp("gnupg"))
    made.make_key("rsa", "rsa3072")
    made.make_key("ed", "ed25519")
    made.make_key("nist", "nistp256")
    made.make_key("old-certification", "rsa2048", options=OLD_CERTIFICATION)
    made.make_key("expired", "rsa3072", options=LONG_AGO)
    made.gpg("--passphrase", "", "--quick-gen-key", "subkey <subkey@example.test>", "rsa3072", "cert", "never")
    made.gpg("--passphrase", "", "--quick-add-key", fingerprint(made, "subkey"), "ed25519", "sign", "10d")
    yield made
    made.attempt("gpgconf", "--kill", "gpg-agent")


def fingerprint(gnupg: GnuPG, name: str, number: int = 0) -> str:
    listing = gnupg.gpg("--with-colons", "--list-keys", f"<{name}@example.test>").decode().splitlines()
    return [line.split(":")[9] for line in listing if line.startswith("fpr:")][number]


def now() -> datetime:
    return datetime.now(UTC)


def streams(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["streams", *map(str, words)])


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    assert streams("add-image", tmp_path / "feed", "an-id", *WHERE).exit_code == 0
    return tmp_path / "feed"


def require_gpgv_takes(gnupg: GnuPG, keyring: Path, feed: Path) -> None:
    inline, beside = list(feed.glob("streams/v1/*.sjson")), list(feed.glob("streams/v1/*.json.gpg"))
    assert (len(inline), len(beside)) == (4, 4)
    for files in ([str(each)] for each in inline):
        done = gnupg.attempt("gpgv", "--keyring", str(keyring), *files)
        assert done.returncode == 0, done.stderr.decode()
    for each in beside:
        done = gnupg.attempt("gpgv", "--keyring", str(keyring), str(each), str(each.with_suffix("")))
        assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("name", ["rsa", "ed", "nist", "subkey"])
def test_a_feed_that_a_key_file_signs_is_taken_by_gpgv_and_by_us(gnupg: GnuPG, feed: Path, name: str) -> None:
    command = "--export-secret-subkeys" if name == "subkey" else "--export-secret-keys"
    assert streams("sign", feed, "--key", gnupg.secret_key(name, command=command)).exit_code == 0
    require_gpgv_takes(gnupg, gnupg.keyring(name), feed)
    done = streams("verify", feed, "--keyring", gnupg.keyring(name), "--json")
    assert (done.exit_code, json.loads(done.stdout)["good"]) == (0, True)
    signed_by = {by["fingerprint"] for each in json.loads(done.stdout)["documents"] for by in each["signed_by"]}
    assert signed_by == {fingerprint(gnupg, name)}
    assert "24.04:amd64" in (feed / "streams/v1/com.ubuntu.cloud-released-imagemetadata.sjson").read_text()
    assert ".sjson" in (feed / "streams/v1/index.sjson").read_text()


@pytest.mark.parametrize("name", ["rsa", "ed", "subkey"])
def test_gpg_s_agent_signs_a_feed(gnupg: GnuPG, feed: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNUPGHOME", str(gnupg.home))
    done = streams("sign", feed, "--gpg-key", fingerprint(gnupg, name), "--old-keyring", gnupg.keyring(name), "--json")
    assert (done.exit_code, json.loads(done.stdout)["key"]["fingerprint"]) == (0, fingerprint(gnupg, name))
    require_gpgv_takes(gnupg, gnupg.keyring(name), feed)
    again = streams("sign", feed, "--gpg-key", fingerprint(gnupg, name), "--json")
    assert {file["done"] for file in json.loads(again.stdout)["feeds"][0]["files"]} == {"same"}
    assert streams("verify", feed, "--keyring", gnupg.keyring(name)).exit_code == 0


def test_gpg_and_we_sign_the_same_text(gnupg: GnuPG, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNUPGHOME", str(gnupg.home))
    trusted = certificates(gnupg.keyring("rsa"))
    for signer in (GpgSigner(fingerprint(gnupg, "rsa")), Signer.load(gnupg.secret_key("rsa"))):
        for text in (TEXT, TEXT + b"\n", TEXT + b"\n\n", b"-----BEGIN x\n- a"):
            signed = signer.sign(text)
            assert verified(signed, trusted, now()).text == text
            assert signed.count(b"Hash:") == 1
            assert verified_detached(text, signer.sign_detached(text), trusted, now()).text == text


def test_a_key_that_gpg_does_not_have_is_refused(gnupg: GnuPG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GNUPGHOME", str(gnupg.home))
    with pytest.raises(GpgKeyUnusable, match="does not know it"):
        GpgSigner("0" * 40)
    with pytest.raises(GpgKeyUnusable, match="expired on 2020-12-31"):
        GpgSigner(fingerprint(gnupg, "expired"))
    with pytest.raises(GpgKeyUnusable, match="there is no program"):
        GpgSigner(fingerprint(gnupg, "rsa"), program=str(tmp_path / "gpg"))
    public_only = tmp_path / "home"
    public_only.mkdir(mode=0o700)
    other = GnuPG(public_only)
    other.gpg("--import", str(gnupg.keyring("rsa")))
    monkeypatch.setenv("GNUPGHOME", str(public_only))
    with pytest.raises(GpgDoesNotSign, match="No secret key"):
        GpgSigner(fingerprint(gnupg, "rsa"))
    other.attempt("gpgconf", "--kill", "gpg-agent")


def test_a_key_is_chosen_from_a_keyring_by_its_fingerprint(gnupg: GnuPG, feed: Path, tmp_path: Path) -> None:
    ring, armored = tmp_path / "ring.gpg", tmp_path / "ring.asc"
    ring.write_bytes(gnupg.gpg("--passphrase", "", "--export-secret-keys", "<rsa@example.test>", "<ed@example.test>"))
    armored.write_bytes(b"".join(gnupg.secret_key(name).read_bytes() for name in ("rsa", "ed")))
    assert Signer.load(armored, fingerprint=fingerprint(gnupg, "ed")).fingerprint == fingerprint(gnupg, "ed")
    with pytest.raises(SigningKeyUnusable, match="several secret keys") as refused:
        Signer.load(ring)
    for name in ("rsa", "ed"):
        assert fingerprint(gnupg, name) in str(refused.value)
        spaced = " ".join(fingerprint(gnupg, name)[-16:].lower())
        assert streams("sign", feed, "--keyring", ring, "--fingerprint", spaced).exit_code == 0
        require_gpgv_takes(gnupg, gnupg.keyring(name), feed)
    for wrong, problem in (("0" * 40, "does not hold the secret key"), ("ABCD", "is no fingerprint")):
        with pytest.raises(SigningKeyUnusable, match=problem):
            Signer.load(ring, fingerprint=wrong)


@pytest.mark.parametrize(
    ("name", "digest"),
    [(name, digest) for name in ALL for digest in ("SHA256", "SHA384", "SHA512")] + [("old-certification", "SHA224")],
)
def test_we_verify_what_gpg_signed_in_both_forms(gnupg: GnuPG, name: str, digest: str) -> None:
    trusted = certificates(gnupg.keyring(name))
    signed = gnupg.clearsign(name, TEXT + b"\n", ("--digest-algo", digest))
    for body in (signed, signed.replace(b"\n", b"\r\n"), signed.replace(b"{\n", b"{ \t\n"), signed + b"after\n"):
        found = verified(body, trusted, now())
        assert (found.text, found.signed_by[0].fingerprint) == (TEXT, fingerprint(gnupg, name))
    who = f"<{name}@example.test>"
    beside = gnupg.gpg(
        "--local-user", who, "--digest-algo", digest, "--detach-sign", "--output", "-", str(gnupg.home / "text")
    )
    assert verified_detached(TEXT + b"\n", beside, trusted, now()).signed_by[0].owner == f"{name} {who}"
    with pytest.raises(BadSignature):
        verified_detached(TEXT, beside, trusted, now())


@pytest.mark.parametrize("name", ALL)
def test_we_refuse_what_gpg_would_refuse(gnupg: GnuPG, name: str) -> None:
    trusted = certificates(gnupg.keyring(name))
    signed = gnupg.clearsign(name, TEXT)
    named = signed.split(b"\n")[1]
    other = b"Hash: SHA256" if named != b"Hash: SHA256" else b"Hash: SHA384"
    for body, error in (
        (signed.replace(b"index:1.0", b"index:1.1"), BadSignature),
        (signed.replace(named, other), BadSignature),
        (signed.replace(named + b"\n", b""), NotClearSigned),
        (signed.replace(named, named + b"\n" + named), NotClearSigned),
        (signed.replace(named, named + b"\nComment: x"), NotClearSigned),
        (b"before\n" + signed, NotClearSigned),
        (signed[: len(signed) // 2], NotClearSigned),
        (signed[: signed.rindex(b"=")], NotClearSigned),
        (gnupg.clearsign(name, signed), NotClearSigned),
    ):
        with pytest.raises(error):
            verified(body, trusted, now())
    with pytest.raises(BadSignature, match=r"none of the known keys signed it; it is by the key [0-9A-F]{16}"):
        verified(signed, certificates(gnupg.keyring("expired")), now())
    with pytest.raises(BadSignature, match="the text was changed after it was signed"):
        verified(signed.replace(b"index:1.0", b"index:1.1"), trusted, now())


def test_a_signature_by_two_keys_is_good_for_who_knows_one_with_a_warning(gnupg: GnuPG, tmp_path: Path) -> None:
    both = gnupg.clearsign("rsa", TEXT, ("--local-user", "<ed@example.test>"))
    for name in ("rsa", "ed"):
        found = verified(both, certificates(gnupg.keyring(name)), now())
        assert [by.fingerprint for by in found.signed_by] == [fingerprint(gnupg, name)]
        assert "2 signatures, of which 1 are by known keys" in found.warnings[0]
        file = tmp_path / "both.sjson"
        file.write_bytes(both)
        assert gnupg.attempt("gpgv", "--keyring", str(gnupg.keyring(name)), str(file)).returncode == 2
    with pytest.raises(BadSignature):
        verified(both, certificates(gnupg.keyring("nist")), now())
    with_old = gnupg.clearsign("rsa", TEXT, ("--local-user", "<old-certification@example.test>"))
    ring = certificates(gnupg.keyring("rsa")) + certificates(gnupg.keyring("old-certification"))
    assert (len(verified(with_old, ring, now()).signed_by), verified(with_old, ring, now()).warnings) == (2, ())


def test_keys_and_signatures_that_have_ended_are_refused(gnupg: GnuPG) -> None:
    trusted = certificates(gnupg.keyring("expired"))
    signed = gnupg.clearsign("expired", TEXT, LONG_AGO)
    with pytest.raises(BadSignature, match="expired on 2020-12-31"):
        verified(signed, trusted, now())
    gnupg.make_key("expired-old", "rsa2048", options=(*LONG_AGO, *OLD_CERTIFICATION))
    signed, trusted = gnupg.clearsign("expired-old", TEXT, LONG_AGO), certificates(gnupg.keyring("expired-old"))
    assert verified(signed, trusted, datetime(2020, 6, 1, tzinfo=UTC)).text == TEXT
    with pytest.raises(BadSignature, match="expired on 2020-12-31"):
        verified(signed, trusted, now())
    short = gnupg.clearsign("rsa", TEXT, ("--default-sig-expire", "1d"))
    trusted = certificates(gnupg.keyring("rsa"))
    assert verified(short, trusted, now()).text == TEXT
    with pytest.raises(BadSignature, match=r"the signature by the key [0-9A-F]{40} expired"):
        verified(short, trusted, now() + timedelta(days=2))


def test_a_subkey_that_ends_soon_is_warned_of(gnupg: GnuPG) -> None:
    found = verified(gnupg.clearsign("subkey", TEXT), certificates(gnupg.keyring("subkey")), now())
    assert (found.signed_by[0].key, found.signed_by[0].fingerprint) == (
        fingerprint(gnupg, "subkey", 1),
        fingerprint(gnupg, "subkey"),
    )
    assert f"the key {fingerprint(gnupg, 'subkey', 1)} expires on" in found.warnings[0]


def test_a_revoked_key_vouches_for_nothing(gnupg: GnuPG, tmp_path: Path) -> None:
    for name, algorithm, options in (("gone", "ed25519", ()), ("gone-old", "rsa2048", OLD_CERTIFICATION)):
        gnupg.make_key(name, algorithm, options=options)
        signed = gnupg.clearsign(name, TEXT)
        assert verified(signed, certificates(gnupg.keyring(name)), now()).text == TEXT
        kept = gnupg.home / "openpgp-revocs.d" / f"{fingerprint(gnupg, name)}.rev"
        revocation = tmp_path / f"{name}.rev"
        revocation.write_text(kept.read_text().replace(":-----BEGIN", "-----BEGIN"))
        gnupg.gpg("--import", str(revocation))
        with pytest.raises(BadSignature, match="is revoked"):
            verified(signed, certificates(gnupg.keyring(name)), now())


def test_a_text_with_sha1_is_refused(gnupg: GnuPG) -> None:
    for name in ("rsa", "old-certification"):
        signed = gnupg.clearsign(name, TEXT, ("--digest-algo", "SHA1"))
        with pytest.raises(NotClearSigned, match="the header names the hash 'SHA1'"):
            verified(signed, certificates(gnupg.keyring(name)), now())


def test_keyrings_are_read_in_every_form_but_gnupg_s_own(gnupg: GnuPG, tmp_path: Path) -> None:
    armored = [gnupg.gpg("--armor", "--export", f"<{name}@example.test>") for name in ("rsa", "ed")]
    file = tmp_path / "both.asc"
    file.write_bytes(b"".join(armored))
    names = [fingerprint(gnupg, name) for name in ("rsa", "ed")]
    assert [each.fingerprint.upper() for each in certificates(file)] == names
    with pytest.raises(CertificatesUnreadable, match="gpg --export"):
        certificates(gnupg.home / "pubring.kbx")


def test_a_key_that_readers_with_newer_libraries_refuse_does_not_sign(gnupg: GnuPG) -> None:
    with pytest.raises(SigningKeyUnusable, match="readers would refuse it"):
        Signer.load(gnupg.secret_key("old-certification"))


def test_a_document_in_one_long_line_is_taken_by_gpgv(gnupg: GnuPG, feed: Path) -> None:
    for file in feed.glob("streams/v1/*.json"):
        document = json.loads(file.read_text()) | {"note": ["word"] * 9_000}
        file.write_text(json.dumps(document))
    assert streams("sign", feed, "--key", gnupg.secret_key("rsa")).exit_code == 0
    require_gpgv_takes(gnupg, gnupg.keyring("rsa"), feed)


def test_sign_takes_what_juju_s_takes(gnupg: GnuPG, tmp_path: Path) -> None:
    key = gnupg.secret_key("rsa")
    for part in ("images", "tools"):
        assert streams("add-image", tmp_path / "md" / part, "an-id", *WHERE).exit_code == 0
    done = streams("sign", "-d", tmp_path / "md", "-k", key, "-p", "")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == f'signing 8 file(s) in "{tmp_path / "md"}"'
    assert f'signing file "{tmp_path}/md/tools/streams/v1/index2.json"' in done.stdout
    assert not list(tmp_path.rglob("*.gpg"))
    for part in ("images", "tools"):
        assert streams("verify", tmp_path / "md" / part, "--keyring", gnupg.keyring("rsa")).exit_code == 0
    for words, problem in (
        (("sign", "-k", key), "directory must be specified"),
        (("sign", "-d", tmp_path), "keyfile must be specified"),
        (("sign", "-d", tmp_path / "nowhere", "-k", key), f"-d {tmp_path / 'nowhere'}: there is no such directory"),
    ):
        refused = streams(*words)
        assert problem in str(refused.exception)


def test_a_changed_document_a_strange_key_and_no_signature_are_told(gnupg: GnuPG, feed: Path) -> None:
    unsigned = streams("verify", feed, "--keyring", gnupg.keyring("rsa"))
    assert type(unsigned.exception).__name__ == "NotSigned"
    streams("sign", feed, "--key", gnupg.secret_key("rsa"))
    strange = streams("verify", feed, "--keyring", gnupg.keyring("ed"))
    assert (strange.exit_code, strange.stdout.count("BAD ")) == (1, 5)
    file = feed / "streams/v1/com.ubuntu.cloud-released-imagemetadata.sjson"
    file.write_bytes(file.read_bytes().replace(b"an-id", b"my-id"))
    changed = streams("verify", feed, "--keyring", gnupg.keyring("rsa"), "--json")
    documents = json.loads(changed.stdout)["documents"]
    assert [each["path"].rpartition("/")[2] for each in documents if not each["good"]] == [file.name]
    alone = streams("verify", feed / "streams/v1/index.json.gpg", "--keyring", gnupg.keyring("rsa"))
    assert alone.exit_code == 0


def test_the_public_part_of_an_old_key_is_not_taken_for_another(gnupg: GnuPG) -> None:
    trusted = certificates(gnupg.keyring("old-certification"))
    with pytest.raises(RuntimeError):
        _ = trusted[0].expiration  # the library does not take it, or this test proves nothing
    other = certificates(gnupg.keyring("rsa"))
    signed = gnupg.clearsign("rsa", TEXT)
    assert verified(signed, [*trusted, *other], now()).signed_by[0].fingerprint == fingerprint(gnupg, "rsa")
    with pytest.raises(BadSignature):
        verified(signed, trusted, now())
