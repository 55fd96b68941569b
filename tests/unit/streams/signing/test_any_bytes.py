"""The readers of signed texts, given anything: they return or say what is wrong, and soon."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headwater.errors import Invalid
from headwater.streams.signing import clearsign
from headwater.streams.signing.clearsign import BEGIN_MESSAGE, BEGIN_SIGNATURE, END_SIGNATURE, NotClearSigned
from headwater.streams.signing.texts import signable
from headwater.streams.signing.verifying import BadSignature, verified, verified_detached
from unit.streams.keys import open_key
from unit.streams.signing.test_signing import now

KEY = open_key()
TEXT = b'{\n "a": "- b",\n "c": [\n -1\n ]\n}\n'
SIGNED = KEY.signer.sign(TEXT)
BESIDE = KEY.signer.sign_detached(TEXT)

LINES = st.sampled_from(
    [
        BEGIN_MESSAGE,
        BEGIN_SIGNATURE,
        END_SIGNATURE,
        b"Hash: SHA512",
        b"Hash: MD5",
        b"Comment: x",
        b"",
        b"- ",
        b"-",
        b"- -a",
    ]
)
TEXTS = st.lists(LINES | st.binary(max_size=30), max_size=12).map(b"\n".join)


@given(st.binary(max_size=300) | TEXTS)
@example(b"")
@example(BEGIN_MESSAGE)
@example(SIGNED[:-1])
@example(b"\n" + SIGNED)
def test_the_reader_of_frames_takes_anything(body: bytes) -> None:
    try:
        parts = clearsign.parse(body)
    except NotClearSigned as error:
        assert error.problem
        return
    assert clearsign.parse(parts.to_bytes()) == parts


@given(TEXTS)
def test_nothing_is_verified_that_was_not_signed(body: bytes) -> None:
    with pytest.raises(Invalid):
        verified(body, [KEY.certificate], now())
    with pytest.raises(Invalid):
        verified_detached(TEXT, body, [KEY.certificate], now())


@settings(max_examples=300)
@given(st.data())
def test_a_signed_text_with_bytes_changed_says_the_same_or_is_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(SIGNED)))
    end = data.draw(st.integers(start, min(len(SIGNED), start + 40)))
    body = SIGNED[:start] + data.draw(st.binary(max_size=10)) + SIGNED[end:]
    try:
        found = verified(body, [KEY.certificate], now())
    except (BadSignature, NotClearSigned):
        return
    assert found.text == TEXT


@given(st.integers(0, len(BESIDE) - 1), st.integers(0, 255))
def test_a_changed_signature_beside_is_refused_or_vouches_for_the_same(position: int, byte: int) -> None:
    changed = BESIDE[:position] + bytes([byte]) + BESIDE[position + 1 :]
    try:
        assert verified_detached(TEXT, changed, [KEY.certificate], now()).text == TEXT
    except BadSignature:
        return


@pytest.mark.parametrize("text", [b"- " * 500_000, b"-\n" * 500_000, b"\n" * 1_000_000, b" " * 1_000_000])
def test_a_large_text_that_is_none_is_refused_in_time(text: bytes) -> None:
    for body in (text, SIGNED[:60] + b"\n" + text):
        with pytest.raises(Invalid):
            verified(body, [KEY.certificate], now())


def test_what_follows_the_signature_is_ignored_and_a_signed_text_within_another_is_refused() -> None:
    for after in (b"more\n", SIGNED * 300, BEGIN_MESSAGE):
        assert verified(SIGNED + after, [KEY.certificate], now()).text == TEXT
    with pytest.raises(NotClearSigned, match="it was signed twice"):
        verified(KEY.signer.sign(SIGNED), [KEY.certificate], now())


@given(st.text(max_size=50).filter(lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text)))
def test_a_document_is_signed_as_the_same_document_in_ascii(text: str) -> None:
    for ensure_ascii in (True, False):
        document = json.dumps({text: [text]}, ensure_ascii=ensure_ascii).encode()
        found = signable(document)
        assert found.isascii()
        assert json.loads(found) == {text: [text]}
