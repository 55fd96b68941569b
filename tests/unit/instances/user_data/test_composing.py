from __future__ import annotations

import email
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.user_data.composing import Part, composed, part
from headwater.instances.user_data.errors import PartUnusable
from headwater.instances.user_data.taking_apart import pieces

CONFIG = b"#cloud-config\nhostname: x\n"


def test_the_same_pieces_make_the_same_bytes() -> None:
    parts = [part("a.yaml", CONFIG), part("b.sh", b"#!/bin/sh\n")]
    for compress in (False, True):
        assert composed(parts, compress=compress) == composed(list(parts), compress=compress)
    assert gzip.decompress(composed(parts, compress=True)) == composed(parts)
    assert composed(parts) != composed(parts[::-1])


def test_the_first_header_is_the_one_that_cloudbase_init_looks_for() -> None:
    assert composed([part("a", CONFIG)]).startswith(b"Content-Type: multipart")


def test_types_come_from_first_lines_and_from_what_is_said() -> None:
    parts = [
        part("a", CONFIG),
        part("b", b"#ps1\nx\n"),
        part("c", b"x", "script-per-boot"),
        part("d", b"x", "text/x-own"),
        part("e", b"x", "x-sh"),
    ]
    message = email.message_from_bytes(composed(parts))
    assert [each.get_content_type() for each in message.walk()][1:] == [
        "text/cloud-config",
        "text/x-shellscript",
        "text/x-shellscript-per-boot",
        "text/x-own",
        "text/x-shellscript",
    ]


def test_names_are_safe_and_differ() -> None:
    parts = [part(name, CONFIG) for name in ("a.yaml", "a.yaml", '"; x=y', "ä/../ö", "...")]
    message = email.message_from_bytes(composed(parts))
    assert [each.get_filename() for each in message.walk()][1:] == ["a.yaml", "a-2.yaml", "x-y", "part-004", "part-005"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"ignition": {"version": "3.4.0"}}', "Ignition reads its config as it is"),
        (b"variant: fcos\nversion: 1.5.0\n", "butane --strict"),
        (b"-----BEGIN CERTIFICATE-----\n", "nothing else"),
        (gzip.compress(b"x", mtime=0), "--gzip"),
        (b"Content-Type: multipart/mixed; boundary=x\n\n", "several pieces already"),
        (b"<script>x</script>", "rem cmd"),
        (b"\xef\xbb\xbf#cloud-config\n", "byte order mark"),
        (b"hello", "--part TYPE:FILE"),
    ],
)
def test_what_cannot_be_a_part_is_refused_with_the_reason(data: bytes, says: str) -> None:
    with pytest.raises(PartUnusable, match=says):
        part("f", data)


def test_ignition_is_not_wrapped_even_where_a_type_is_said() -> None:
    with pytest.raises(PartUnusable, match="Ignition"):
        part("f", b'{"ignition": {"version": "3.4.0"}}', "cloud-config")


@pytest.mark.parametrize("kind", ["ignition", "multipart", "no type", "", "text/x y", "text/html\r\nX: y"])
def test_a_type_that_is_none_is_refused(kind: str) -> None:
    with pytest.raises(PartUnusable, match="no type"):
        part("f", b"x", kind)


def test_nothing_cannot_be_composed() -> None:
    with pytest.raises(PartUnusable, match="nothing to compose"):
        composed([])


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_every_part_comes_out_byte_for_byte(datas: list[bytes]) -> None:
    whole = composed([Part(mime="text/x-own", name="f", data=data) for data in datas])
    message = email.message_from_bytes(whole)
    assert [each.get_payload(decode=True) for each in message.walk()][1:] == datas


@pytest.mark.parametrize(
    "data",
    [b"a", b"a\n", b"a\n\n", b"\n", b"", b"--x\n", b"From me\n", b"a\r\nb\r\n", b"x" * 2000, b".\n", "ä\n".encode()],
)
def test_ends_of_lines_stay(data: bytes) -> None:
    whole = composed([Part(mime="text/x-shellscript", name="f", data=b"#!" + data) for _ in range(2)])
    assert [piece.data for piece in pieces(whole)] == [b"#!" + data] * 2
