from __future__ import annotations

import base64
import contextlib
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.instances.user_data.composing import composed, part
from headwater.instances.user_data.errors import UserDataUnreadable
from headwater.instances.user_data.taking_apart import MOST_BYTES, pieces

CONFIG = b"#cloud-config\nhostname: x\n"


def told(data: bytes) -> list[tuple[str, str | None]]:
    return [(piece.number, piece.kind.name if piece.kind else None) for piece in pieces(data)]


def test_what_is_one_thing_is_one_piece() -> None:
    assert told(CONFIG) == [("1", "cloud-config")]
    assert told(b"hello") == [("1", None)]


def test_compressed_and_several_pieces_are_taken_apart() -> None:
    whole = composed([part("a", CONFIG), part("b", b"#!/bin/sh\n"), part("c", b"#ps1\nx")], compress=True)
    assert told(whole) == [("1", "cloud-config"), ("2", "script"), ("3", "ps1")]


def test_archives_are_pieces_too_and_cloud_configs_unless_they_begin_otherwise() -> None:
    archive = b"#cloud-config-archive\n- 'hostname: x'\n- type: text/x-own\n  content: y\n- '#!/bin/sh'\n"
    assert told(archive) == [("1.1", "cloud-config"), ("1.2", None), ("1.3", "script")]
    [first, *_] = pieces(b"#cloud-config-archive\n- filename: f\n  content: 'a: 1'\n")
    assert (first.name, first.data) == ("f", b"a: 1")


def test_a_part_with_several_parts_in_it_is_numbered_below() -> None:
    inner = gzip.compress(CONFIG)
    head = b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: application/gzip\n"
    whole = head + b"Content-Transfer-Encoding: base64\n\n" + base64.b64encode(inner) + b"\n--x--\n"
    assert told(whole) == [("1.1", "cloud-config")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x1f\x8bnothing", "broken"),
        (gzip.compress(CONFIG, mtime=0)[:-9], "its end is missing"),
        (gzip.compress(bytes(MOST_BYTES + 1), mtime=0), "more than 16 MiB"),
        (b"#cloud-config-archive\na: b\n", "no list"),
        (b"#cloud-config-archive\n- [\n", "no YAML"),
        (b"#cloud-config-archive\n- {type: x}\n", "no content"),
        (b"#cloud-config-archive\n" + b"- x\n" * 1000, "more than 200 parts"),
    ],
)
def test_what_is_broken_or_meant_to_hurt_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(UserDataUnreadable, match=says):
        pieces(data)


def test_what_is_compressed_again_and_again_ends() -> None:
    data = CONFIG
    for _ in range(300):
        data = gzip.compress(data)
    with pytest.raises(UserDataUnreadable, match="again and again"):
        pieces(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_pieces_or_unreadable(data: bytes) -> None:
    with contextlib.suppress(UserDataUnreadable):
        assert pieces(data)
