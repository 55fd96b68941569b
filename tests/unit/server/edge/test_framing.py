from __future__ import annotations

import random
from itertools import pairwise

import pytest

from headwater.server.edge.framing import Chunked, Refused, Sized
from headwater.server.edge.limits import (
    BODY_RECEIVE_SIZE,
    CHUNK_LINE_LIMIT,
    HEAD_LIMIT,
    HEAD_RECEIVE_SIZE,
    HEADERS_LIMIT,
)

NEXT = b"GET / HTTP/1.1\r\n"


def undone(sent: bytes, cuts: list[int], framing: Chunked | Sized | None = None) -> tuple[bytes, bytes]:
    """Return the body in ``sent``, received in pieces cut there, and what follows it."""
    framing = framing or Chunked()
    body = b""
    for start, end in pairwise([0, *cuts, len(sent)]):
        view = memoryview(bytearray(sent[start:end]))
        filled, rest = framing.undo(view)
        body += view[:filled]
        if framing.ended:
            return body, sent[start + rest :]
    return body, b"no end"


def chunk(data: bytes, more: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), more, data)


BODIES = [
    (b"", b"0\r\n\r\n"),
    (b"abc", chunk(b"abc") + b"0\r\n\r\n"),
    (b"abc", chunk(b"ab", b";x=y") + chunk(b"c", b';q="a b"') + b"000;z\r\n\r\n"),
    (b"abc" * 9, chunk(b"abc" * 9).replace(b"1b", b"001B") + b"0\r\nT: v\r\nEmpty:\r\n\r\n"),
    (b"\r\n0\r\n\r\n" * 3, chunk(b"\r\n0\r\n\r\n" * 3) + b"0\r\n\r\n"),
]


@pytest.mark.parametrize(("data", "sent"), BODIES)
def test_the_data_is_found_wherever_the_pieces_are_cut(data: bytes, sent: bytes) -> None:
    for size in range(1, len(sent) + 2):
        assert undone(sent + NEXT, list(range(size, len(sent + NEXT), size))) == (data, NEXT)


def test_any_chunks_in_any_pieces_are_the_data() -> None:
    chance = random.Random(7)
    for _ in range(200):
        parts = [chance.randbytes(chance.choice([1, 2, 15, 16, 300, 5000])) for _ in range(chance.randrange(1, 20))]
        sent = b"".join(map(chunk, parts)) + b"0\r\n\r\n" + NEXT
        cuts = sorted(chance.randrange(len(sent)) for _ in range(chance.randrange(12)))
        assert undone(sent, cuts) == (b"".join(parts), NEXT)


def test_a_body_with_a_length_is_as_long_as_that() -> None:
    for cuts in ([], [1], [3], [2, 3, 4]):
        assert undone(b"abc" + NEXT, cuts, Sized(3)) == (b"abc", NEXT)
    assert undone(b"ab", [], Sized(3)) == (b"ab", b"no end")


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n",
        b"x\r\n",
        b"g\r\n",
        b"0x3\r\nabc\r\n",
        b"+3\r\nabc\r\n",
        b"-3\r\nabc\r\n",
        b" 3\r\nabc\r\n",
        b"3 \r\nabc\r\n",
        b"3 ;a\r\nabc\r\n",
        b"3\t\r\nabc\r\n",
        b"1_0\r\nabc\r\n",
        b"3\nabc\r\n",
        b"3\r\r\nabc\r\n",
        b"3;a\rb\r\nabc\r\n",
        b"3;\na\r\nabc\r\n",
        b"3;a\0b\r\nabc\r\n",
        b"3\r\nabc\n",
        b"3\r\nabc\r\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc3\r\nabc\r\n",
        b"11111111111111111\r\nabc\r\n",
        b"3" + b";" * CHUNK_LINE_LIMIT + b"\r\nabc\r\n",
        b"0\r\n T: v\r\n\r\n",
        b"0\r\nT : v\r\n\r\n",
        b"0\r\nT\r\n\r\n",
        b"0\r\n: v\r\n\r\n",
        b"0\r\nT: a\0b\r\n\r\n",
        b"0\r\nT: v\n\r\n",
        b"0\r\n\n",
        b"0\r\n" + b"T: v\r\n" * (HEADERS_LIMIT + 1) + b"\r\n",
        b"0\r\nT: " + b"v" * HEAD_LIMIT + b"\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:16]),
)
def test_what_is_no_chunk_is_refused(sent: bytes) -> None:
    sent += b"0\r\n\r\n"  # what another reader might take for the end
    for size in (1, 2, 3, len(sent)) if len(sent) < 2000 else (1000, len(sent)):
        with pytest.raises(Refused):
            undone(sent, list(range(size, len(sent), size)))


def test_who_sends_no_line_end_is_not_listened_to_for_long() -> None:
    for begun, limit in ((b"", CHUNK_LINE_LIMIT), (b"1\r\na", 2), (b"0\r\n", HEAD_LIMIT)):
        framing = Chunked()
        framing.undo(memoryview(bytearray(begun)))
        with pytest.raises(Refused):
            for _ in range(limit):
                framing.undo(memoryview(bytearray(b"1")))


def test_of_small_chunks_few_are_taken_at_once() -> None:
    framing = Chunked()
    assert framing.reach <= HEAD_RECEIVE_SIZE
    framing.undo(memoryview(bytearray(chunk(b"x") * 1000)))
    assert framing.reach == HEAD_RECEIVE_SIZE
    framing.undo(memoryview(bytearray(chunk(bytes(1 << 16)) * 4)))
    assert framing.reach == BODY_RECEIVE_SIZE
