from __future__ import annotations

import base64
import hashlib

import pytest
from starlette.datastructures import Headers

from headwater.http import structured
from headwater.http.structured import BadIdempotencyKey, MalformedDigest, MalformedField

DATA = b"image"


def field(algorithm: str, digest: bytes) -> bytes:
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:".encode()


SHA256 = hashlib.sha256(DATA).digest()
SHA512 = hashlib.sha512(DATA).digest()


def test_digests_are_read_from_all_lines_of_both_fields() -> None:
    fields = [
        (b"repr-digest", field("sha-256", SHA256)),
        (b"repr-digest", field("sha-512", SHA512) + b";x=1"),
        (b"content-digest", field("md5", hashlib.md5(DATA).digest())),
    ]
    assert structured.digests_of_body(fields) == (
        ("md5", hashlib.md5(DATA).digest()),
        ("sha256", SHA256),
        ("sha512", SHA512),
    )
    assert structured.digests_of_body([]) == ()


def test_algorithms_that_are_not_known_are_ignored() -> None:
    assert structured.digests([(b"repr-digest", b"unixsum=:MTA=:, sha-1=:YQ==:, sha-384=:YQ==:")], "Repr-Digest") == []


@pytest.mark.parametrize(
    "given",
    [
        b"sha-256",
        b"sha-256=x",
        b'sha-256="x"',
        b"sha-256=:!:",
        b"sha-256=:YQ==:",
        b"sha-256=(:YQ==:)",
        b"sha-512=" + field("x", SHA256)[2:],
        b"SHA-256=:YQ==:",
        b"sha-256=:YQ==:,",
        b"\xff",
        b"unixsum=10",
    ],
)
def test_a_digest_that_no_data_could_have_is_refused_with_those_that_are_taken(given: bytes) -> None:
    with pytest.raises(MalformedDigest, match="Repr-Digest") as refused:
        structured.digests([(b"repr-digest", given)], "Repr-Digest")
    assert refused.value.headers == {"Want-Repr-Digest": "sha-512=10, sha-256=9"}


def test_a_digest_is_told_by_the_algorithm_that_is_wanted_most() -> None:
    hashed = {"sha512": SHA512.hex(), "md5": hashlib.md5(DATA).hexdigest()}
    strong, weak = field("sha-512", SHA512).decode(), field("md5", hashlib.md5(DATA).digest()).decode()
    assert structured.digest_field(hashed, None) == strong
    assert structured.digest_field(hashed, {"sha-256": 10, "md5": 1}) == weak
    assert structured.digest_field(hashed, {"md5": 1, "sha-512": 2}) == strong
    assert structured.digest_field(hashed, {"sha-512": 0}) is None
    assert structured.digest_field({"sha384": "00"}, None) is None
    assert structured.digest_field({"md5": "00" * 16}, None) is None


def test_a_wish_that_cannot_be_read_is_none() -> None:
    def wanted(given: str) -> dict[str, int] | None:
        return structured.wanted_digests(Headers({"want-repr-digest": given}), "Repr-Digest")

    assert wanted("sha-512=3, md5=0") == {"sha-512": 3, "md5": 0}
    assert wanted("sha-512=?1, md5=11, sha-256=1.5, x=-1, y") == {}
    assert wanted("=") is None
    assert structured.wanted_digests(Headers(), "Repr-Digest") is None


def test_an_item_is_one_value() -> None:
    assert structured.item(Headers({"x": '"a b";p=1'}), "X") == "a b"
    assert structured.item(Headers({"x": "?1"}), "X") is True
    assert structured.item(Headers(), "X") is None
    with pytest.raises(MalformedField, match="header X cannot be read"):
        structured.item(Headers({"x": "1, 2"}), "X")


@pytest.mark.parametrize(("given", "key"), [('"a b"', "a b"), ("8e03-40", "8e03-40"), ('"8e03-40";x', "8e03-40")])
def test_an_idempotency_key_is_a_string_with_or_without_quotes(given: str, key: str) -> None:
    assert structured.idempotency_key(Headers({"idempotency-key": given})) == key
    assert structured.idempotency_key(Headers()) is None


@pytest.mark.parametrize(
    "given", ["", '""', '"a', "a b", "a, b", '"a", "b"', "ä", "?1;", '"' + "x" * 256 + '"', ":YQ==:"]
)
def test_what_is_no_idempotency_key_is_refused(given: str) -> None:
    with pytest.raises(BadIdempotencyKey):
        structured.idempotency_key(Headers({"idempotency-key": given}))
