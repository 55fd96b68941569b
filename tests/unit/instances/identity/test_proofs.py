"""What is signed, and certificates, are functions of document and key."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import pkcs7

from headwater.clock import now
from headwater.database.engine import Database
from headwater.instances.identity.keys import Key, KeyRows, Keys
from headwater.instances.identity.proofs import SIGNED, Proofs, certificate
from headwater.instances.trees import identity_document
from unit.clock import Clock
from unit.instances.examples import BARE, WEB_1

DOCUMENT = b'{"instanceId" : "i-b65cee2f"}'


def test_every_process_signs_and_publishes_the_same_bytes(database: Database) -> None:
    first, second = (Proofs(Keys(KeyRows(database))) for _ in range(2))
    assert first.certificates() == second.certificates()
    for name in SIGNED:
        assert first.of(name, DOCUMENT) == second.of(name, DOCUMENT) != first.of(name, DOCUMENT + b" ")


def test_a_certificate_is_made_anew_of_the_key_alone(database: Database) -> None:
    key = Keys(KeyRows(database)).signing()
    made = certificate(key)
    certificate.cache_clear()
    assert certificate(Key(key.id, key.made_at, key.pem)) == made
    made.verify_directly_issued_by(made)
    at = datetime.fromtimestamp(now() // 1_000_000, UTC)
    assert made.not_valid_before_utc < at < made.not_valid_after_utc - timedelta(days=19 * 365)
    assert made.public_key() == key.private.public_key()


def test_no_certificate_goes_along_with_what_is_signed(database: Database) -> None:
    proofs = Proofs(Keys(KeyRows(database)))
    signed = proofs.of("ec2/latest/dynamic/instance-identity/pkcs7", DOCUMENT)
    assert max(map(len, signed.split("\n"))) == 64
    der = base64.b64decode(signed)
    assert DOCUMENT in der
    with pytest.raises(ValueError, match="no certificate data"):
        pkcs7.load_der_pkcs7_certificates(der)


def test_the_certificate_of_the_key_that_signs_is_first(database: Database, clock: Clock) -> None:
    keys = Keys(KeyRows(database, clock), clock)
    old = keys.signing()
    clock.now += 1_000_000
    new = KeyRows(database, clock).rotate()
    clock.now += 31_000_000
    proofs = Proofs(keys)

    def published() -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(proofs.certificates())

    assert published() == [certificate(old), certificate(new)]
    clock.now += 400_000_000
    assert published() == [certificate(new), certificate(old)]
    signature = base64.b64decode(proofs.of("ec2/latest/dynamic/instance-identity/signature", DOCUMENT))
    new.private.public_key().verify(signature, DOCUMENT, padding.PKCS1v15(), hashes.SHA256())


def test_two_machines_with_one_short_id_have_documents_of_their_own() -> None:
    name = "ec2/latest/dynamic/instance-identity/document"
    tree = identity_document.tree(WEB_1, region="north")
    assert f'"instanceUuid" : "{WEB_1.id}"' in tree[name].body.decode()
    assert '"region" : "north"' in tree[name].body.decode()
    bare = identity_document.tree(BARE)[name].body.decode()
    assert '"privateIp" : null' in bare
    assert '"imageId" : null' in bare
