from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.image_catalogue import SECOND, add, an_image
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardUploads
from headwater.database.engine import Database
from headwater.errors import HeadwaterError, SettingsError
from headwater.identity.caller import OPERATOR
from headwater.identity.watched_file import WatchedFile
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import Pools, UploadSession
from headwater.images.data.uploads import Uploads
from headwater.images.model import Image, Status
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.certificates import (
    LARGEST,
    CertificateNotFound,
    CertificatesUnavailable,
    CertificateUnusable,
    parsed,
)
from headwater.images.signatures.claim import (
    BadSignatureProperty,
    CertificateOutOfDate,
    KeyTypeMismatch,
    SignatureRefused,
    SignatureWrong,
)
from headwater.images.signatures.directory import CertificateDirectory
from headwater.images.signatures.trust import (
    CertificateNotForSigning,
    CertificateUntrusted,
    read_trusted,
    require_trusted,
)
from headwater.images.signatures.verification import NoCertificates, SignatureChanged, Signatures
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.threads import Pool
from signers import CERTIFICATE_ID, Signer, signer
from templates import sqlite_catalogue
from unit.clock import Clock

DATA = bytes(range(256)) * 40
OTHER_ID = "0f8b9a52-6c1f-4b0e-9a39-6a1f7c1f6d02"


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return signer(tmp_path_factory.mktemp("signer"), "ECC_SECP384R1")


@pytest.fixture
def directory(tmp_path: Path, who: Signer) -> Path:
    """A directory with the signer's certificate."""
    made = tmp_path / "certificates"
    made.mkdir()
    (made / f"{CERTIFICATE_ID}.pem").write_bytes(who.certificate.read_bytes())
    return made


class Site:
    """Uploads into memory."""

    def __init__(self, tmp_path: Path, directory: Path | None) -> None:
        self.clock = Clock(time.time_ns() // 1000 + 3600 * SECOND)  # the certificates are an hour old
        self.database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
        self.catalogue = UnheardImages(self.database)
        self.store = MemoryStore("memory", MemoryStoreSettings(type="memory"))
        self.pools = Pools(Pool("hashing", 2), Pool("storing", 2))
        self.uploads = Uploads(
            Changes(self.database, Access(self.catalogue, EveryoneMay())),
            UnheardUploads(self.database),
            Scrubber(DiscardedObjectRows(self.database), {"memory": self.store}),
            {"memory": self.store},
            ImagesSettings(),
            pools=self.pools,
            signatures=Signatures(CertificateDirectory(directory) if directory else None, clock=self.clock),
            clock=self.clock,
        )

    def image(self, properties: Mapping[str, str]) -> Image:
        made = an_image("x", disk_format="raw", container_format="bare", properties=properties)
        add(self.catalogue, made)
        return made

    def upload(self, image: Image, data: bytes, piece: int = 97) -> Image:
        """Upload as the HTTP face does, in many small pieces."""
        incoming = self.uploads.begin(OPERATOR, image.id)
        try:
            incoming.prepare()
            self.feed(incoming, data, piece)
            return incoming.finish()
        except HeadwaterError:
            incoming.abandon()
            raise

    @staticmethod
    def feed(incoming: UploadSession, data: bytes, piece: int) -> None:
        back = threading.Semaphore(0)
        starts = range(0, len(data), piece)
        for start in starts:
            incoming.put(memoryview(data)[start : start + piece], back.release)
        for _ in starts:
            assert back.acquire(timeout=20)

    def nothing_is_left(self, image: Image) -> bool:
        now = self.catalogue.get(image.id)
        fresh = (now.status, now.size, now.checksum, now.os_hash_value) == (Status.QUEUED, None, None, None)
        return fresh and list(self.store.list()) == []

    def close(self) -> None:
        self.pools.hashing.close()
        self.pools.storing.close()
        self.database.close()


@pytest.fixture
def site(tmp_path: Path, directory: Path) -> Iterator[Site]:
    made = Site(tmp_path, directory)
    yield made
    made.close()


@pytest.fixture
def bare_site(tmp_path: Path) -> Iterator[Site]:
    """One without a source of certificates."""
    made = Site(tmp_path, None)
    yield made
    made.close()


@pytest.mark.parametrize("data", [DATA, b""])
def test_signed_data_makes_the_image_active(site: Site, who: Signer, data: bytes) -> None:
    image = site.image(who.properties(data))
    assert site.upload(image, data).status is Status.ACTIVE


def test_other_data_leaves_nothing_and_the_right_data_can_follow(site: Site, who: Signer) -> None:
    image = site.image(who.properties(DATA))
    with pytest.raises(SignatureWrong):
        site.upload(image, DATA[:-1])
    assert site.nothing_is_left(image)
    assert site.upload(image, DATA).status is Status.ACTIVE


def test_a_certificate_that_is_not_there_is_found_out_before_the_first_byte(site: Site, who: Signer) -> None:
    image = site.image(who.properties(DATA, certificate_id=OTHER_ID))
    incoming = site.uploads.begin(OPERATOR, image.id)
    with pytest.raises(CertificateNotFound, match=f"there is no certificate {OTHER_ID}"):
        incoming.prepare()
    incoming.abandon()
    assert site.nothing_is_left(image)


@pytest.mark.parametrize(("days", "says"), [(11, "expired at"), (-1, "is not valid before")])
def test_a_certificate_counts_only_in_its_time(site: Site, who: Signer, days: int, says: str) -> None:
    image = site.image(who.properties(DATA))
    site.clock.now += days * 86_400 * SECOND
    with pytest.raises(CertificateOutOfDate, match=says):
        site.upload(image, DATA)
    assert site.nothing_is_left(image)


def test_a_certificate_of_another_key_type_is_refused(site: Site, who: Signer) -> None:
    image = site.image({**who.properties(DATA), "img_signature_key_type": "RSA-PSS"})
    with pytest.raises(KeyTypeMismatch):
        site.upload(image, DATA)
    assert site.nothing_is_left(image)


def test_a_bad_property_is_told_before_the_image_is_claimed(site: Site, who: Signer) -> None:
    image = site.image({**who.properties(DATA), "img_signature_hash_method": "MD5"})
    with pytest.raises(BadSignatureProperty):
        site.uploads.begin(OPERATOR, image.id)
    assert site.catalogue.get(image.id) == image


def test_without_a_source_of_certificates_a_signed_image_is_refused(bare_site: Site, who: Signer) -> None:
    image = bare_site.image(who.properties(DATA))
    with pytest.raises(NoCertificates):
        bare_site.upload(image, DATA)
    assert bare_site.nothing_is_left(image)


def test_with_three_properties_nothing_is_verified(bare_site: Site, who: Signer) -> None:
    some = dict(who.properties(DATA))
    del some["img_signature"]
    assert bare_site.upload(bare_site.image(some), b"anything").status is Status.ACTIVE


def change_while_data_comes(site: Site, before: Mapping[str, str], after: Mapping[str, str]) -> Image:
    image = site.image(before)
    incoming = site.uploads.begin(OPERATOR, image.id)
    incoming.prepare()
    site.feed(incoming, DATA, 4096)
    site.catalogue.change(image.id, lambda now: replace(now, properties=after))
    try:
        return incoming.finish()
    except HeadwaterError:
        incoming.abandon()
        assert site.nothing_is_left(image)
        raise


def test_a_signature_that_is_changed_while_the_data_comes_is_not_taken_for_verified(site: Site, who: Signer) -> None:
    signed = who.properties(DATA)
    for before in (signed, {}):
        with pytest.raises(SignatureChanged):
            change_while_data_comes(site, before, who.properties(b"something else"))
    assert change_while_data_comes(site, signed, {"img_signature": "taken back"}).status is Status.ACTIVE


# --- The directory -------------------------------------------------------------------------------


def get(directory: Path, certificate_id: str = OTHER_ID) -> bytes:
    return CertificateDirectory(directory).get(OPERATOR, certificate_id)


def test_a_link_counts_while_it_stays_in_the_directory(directory: Path, who: Signer, tmp_path: Path) -> None:
    link = directory / f"{OTHER_ID}.pem"
    link.symlink_to(f"{CERTIFICATE_ID}.pem")
    assert get(directory) == who.certificate.read_bytes()
    outside = tmp_path / "outside.pem"
    outside.write_bytes(who.certificate.read_bytes())
    for target in (outside, Path("../outside.pem"), Path("/dev/zero")):
        link.unlink()
        link.symlink_to(target)
        with pytest.raises(CertificateNotFound):
            get(directory)


def test_what_is_no_plain_file_is_not_there(directory: Path) -> None:
    file = directory / f"{OTHER_ID}.pem"
    with pytest.raises(CertificateNotFound):
        get(directory)
    os.mkfifo(file)
    with pytest.raises(CertificateNotFound):
        get(directory)
    file.unlink()
    file.mkdir()
    with pytest.raises(CertificateNotFound):
        get(directory)
    file.rmdir()
    file.symlink_to(file.name)
    with pytest.raises((CertificateNotFound, CertificatesUnavailable)):
        get(directory)


def test_a_file_that_is_too_large_is_not_read(directory: Path) -> None:
    (directory / f"{OTHER_ID}.pem").write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(CertificateUnusable, match="larger than"):
        get(directory)


def test_a_directory_that_is_not_there_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no directory"):
        CertificateDirectory(tmp_path / "absent")


@pytest.mark.parametrize(
    "data",
    [b"", b"text", b"\x30\x80", b"-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n", b"\x30" * 5000],
)
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(CertificateUnusable, match=r"is not an X\.509 certificate"):
        parsed(OTHER_ID, data)


def test_a_private_key_is_no_certificate(who: Signer) -> None:
    with pytest.raises(CertificateUnusable):
        parsed(OTHER_ID, who.key.read_bytes())


def test_pem_and_der_are_the_same_certificate(who: Signer) -> None:
    certificate = parsed(OTHER_ID, who.certificate.read_bytes())
    assert parsed(OTHER_ID, certificate.public_bytes(serialization.Encoding.DER)) == certificate


# --- Whom the operator trusts --------------------------------------------------------------------

KEY = ec.generate_private_key(ec.SECP256R1())
AT = datetime(2026, 6, 1, tzinfo=UTC)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def issued(
    subject: str,
    issuer: str,
    *extensions: x509.ExtensionType,
    signed_by: ec.EllipticCurvePrivateKey = KEY,
    last: datetime = AT + timedelta(1),
) -> x509.Certificate:
    builder = x509.CertificateBuilder(
        name(issuer), name(subject), KEY.public_key(), x509.random_serial_number(), AT - timedelta(1), last
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(signed_by, hashes.SHA256())


def usage(**given: bool) -> x509.KeyUsage:
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
    fields = [*names.split(), "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{each: given.get(each, False) for each in fields})


CA = x509.BasicConstraints(ca=True, path_length=None)
AUTHORITY = issued("authority", "authority", CA, usage(key_cert_sign=True))


def trust(certificate: x509.Certificate, *trusted: x509.Certificate) -> None:
    require_trusted(CERTIFICATE_ID, certificate, trusted, AT)


def test_a_certificate_of_a_trusted_authority_counts_and_so_does_one_that_is_named_itself() -> None:
    leaf = issued("leaf", "authority", usage(digital_signature=True))
    trust(leaf, AUTHORITY)
    trust(leaf, issued("other", "other"), AUTHORITY)
    trust(leaf, leaf)


@pytest.mark.parametrize(
    "trusted",
    [
        [],
        [issued("other", "other", CA)],
        [issued("authority", "authority")],
        [issued("authority", "authority", x509.BasicConstraints(ca=False, path_length=None))],
        [issued("authority", "authority", CA, usage(digital_signature=True))],
        [issued("authority", "authority", CA, last=AT - timedelta(hours=1))],
    ],
    ids=["nobody", "another name", "no word of authority", "no authority", "may not issue", "expired"],
)
def test_a_certificate_of_nobody_who_is_trusted_does_not_count(trusted: list[x509.Certificate]) -> None:
    with pytest.raises(CertificateUntrusted):
        trust(issued("leaf", "authority"), *trusted)


def test_the_name_of_a_trusted_authority_is_not_enough() -> None:
    forger = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(CertificateUntrusted):
        trust(issued("leaf", "authority", signed_by=forger), AUTHORITY)


def test_a_key_that_is_for_other_things_does_not_sign() -> None:
    with pytest.raises(CertificateNotForSigning):
        trust(issued("leaf", "authority", usage(key_encipherment=True)), AUTHORITY)


def test_a_file_of_authorities_is_read_and_a_bad_one_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(AUTHORITY.public_bytes(serialization.Encoding.PEM) * 2)
    assert read_trusted(file) == (AUTHORITY, AUTHORITY)
    for bad in (b"", b"text", b"-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n"):
        file.write_bytes(bad)
        with pytest.raises(SettingsError, match=r"ca\.pem"):
            read_trusted(file)


def test_an_upload_heeds_whom_the_operator_trusts(site: Site, who: Signer, directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(who.certificate.read_bytes())
    source = CertificateDirectory(directory)
    image = site.image(who.properties(DATA))
    trusting = Signatures(source, WatchedFile(file, read_trusted), clock=site.clock).verification(OPERATOR, image)
    assert trusting is not None
    trusting.prepare()
    file.write_bytes(AUTHORITY.public_bytes(serialization.Encoding.PEM))
    wary = Signatures(source, WatchedFile(file, read_trusted), clock=site.clock).verification(OPERATOR, image)
    assert wary is not None
    with pytest.raises(SignatureRefused, match="no certificate authority"):
        wary.prepare()
