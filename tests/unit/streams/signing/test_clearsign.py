from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.streams.signing.clearsign import ClearSigned, NotClearSigned, parse

ARMOR = b"-----BEGIN PGP SIGNATURE-----\n\nwsE7BAEB\n=abcd\n-----END PGP SIGNATURE-----\n"
HEADER = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
PLAIN = HEADER + b'{\n "a": 1\n}\n' + ARMOR


def test_the_parts_of_a_clear_signed_text() -> None:
    parts = parse(PLAIN)
    assert parts == ClearSigned(b'{\n "a": 1\n}', ARMOR, ("SHA512",))
    assert parts.to_bytes() == PLAIN


def test_dash_escapes_are_undone() -> None:
    assert parse(HEADER + b"- -----BEGIN PGP SIGNATURE-----\n- - x\n- From\n- \n-\n" + ARMOR).text == (
        b"-----BEGIN PGP SIGNATURE-----\n- x\nFrom\n\n"
    )


def test_line_ends_of_windows_and_blanks_at_the_ends_are_no_part_of_the_text() -> None:
    assert parse(PLAIN.replace(b"\n", b"\r\n")) == parse(PLAIN)
    assert parse(PLAIN.replace(b"\n", b" \t\r\n")) == parse(PLAIN)


def test_a_long_text_takes_no_more_room_than_itself_once_more() -> None:
    long = HEADER + b'   "key": "value",\n' * 50_000 + ARMOR
    tracemalloc.start()
    try:
        parse(long)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1.5 * len(long)


def test_what_follows_the_signature_is_ignored() -> None:
    assert parse(PLAIN + b"\nforged\n") == parse(PLAIN)


def test_one_header_line_may_name_two_hashes() -> None:
    assert parse(PLAIN.replace(b"SHA512", b"SHA256, SHA512")).hashes == ("SHA256", "SHA512")


def test_only_line_feeds_end_a_line() -> None:
    text = "a\u2028b\u0085c\x0bd".encode()
    assert parse(HEADER + text + b"\n" + ARMOR).text == text


@pytest.mark.parametrize(
    ("signed", "problem"),
    [
        (b"", "does not begin"),
        (b'{"a": 1}', "does not begin"),
        (b"before\n" + PLAIN, "does not begin"),
        (b"\xef\xbb\xbf" + PLAIN, "does not begin"),
        (b" " + PLAIN, "does not begin"),
        (PLAIN.replace(b"Hash: SHA512\n", b""), "exactly one line"),
        (PLAIN.replace(b"Hash: SHA512\n", b"Hash: SHA512\nHash: SHA256\n"), "exactly one line"),
        (PLAIN.replace(b"Hash: SHA512\n", b"Hash: SHA512\nComment: x\n"), "exactly one line"),
        (PLAIN.replace(b"Hash: SHA512\n", b"Comment: x\n"), "exactly one line"),
        (PLAIN.replace(b"SHA512", b"MD5"), "hash 'MD5'"),
        (PLAIN.replace(b"SHA512", b"SHA1"), "hash 'SHA1'"),
        (PLAIN.replace(b"SHA512", b""), "hash ''"),
        (PLAIN.replace(b"SHA512", b"SHA512\xff"), "hash"),
        (b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\ntext", "no empty line"),
        (HEADER + b"text\n", "no signature"),
        (PLAIN.replace(b"-----END PGP SIGNATURE-----\n", b""), "no end"),
        (HEADER + ARMOR, "no text"),
        (HEADER + b"one\n-two\n" + ARMOR, "line 5 begins with '-'"),
        (HEADER + b"--\n" + ARMOR, "line 4 begins with '-'"),
        (HEADER + PLAIN, "line 4 begins with '-'"),
    ],
)
def test_what_some_reader_refuses_is_refused(signed: bytes, problem: str) -> None:
    with pytest.raises(NotClearSigned, match=problem):
        parse(signed)


lines = st.lists(st.text(st.characters(blacklist_characters="\n\r\t ", codec="utf-8"), max_size=6), min_size=1)
texts = lines.map(lambda found: "\n".join(found).encode())


@given(texts.filter(bool) | st.sampled_from([b"-", b"- -", b"\n", b"-----END PGP SIGNATURE-----"]))
def test_any_text_comes_back_from_its_plainest_form(text: bytes) -> None:
    parts = ClearSigned(text, ARMOR, ("SHA512",))
    assert parse(parts.to_bytes()) == parts


@given(st.binary(max_size=200), st.integers(0, len(PLAIN)))
def test_bytes_put_anywhere_are_refused_cleanly_or_read(noise: bytes, position: int) -> None:
    try:
        parts = parse(PLAIN[:position] + noise + PLAIN[position:])
    except NotClearSigned:
        return
    assert parse(parts.to_bytes()) == parts
