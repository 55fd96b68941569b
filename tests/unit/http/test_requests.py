"""How the JSON of a request is read."""

from __future__ import annotations

import asyncio
import json
import threading
from codecs import BOM_UTF8
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from headwater.http.requests import BadBody, json_body
from headwater.images.attributes import V21, operations

PATCH = [{"op": "add", "path": "/name", "value": "x"}] * 2000


def a_request(body: bytes) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "PATCH", "headers": []}, receive)


def read(body: bytes) -> tuple[Any, threading.Thread]:
    """Return what the body says, and the thread in which it was read."""

    def reader(decoded: Any) -> tuple[Any, threading.Thread]:
        return operations(V21, decoded), threading.current_thread()

    return asyncio.run(json_body(a_request(body), reader))


def test_a_large_body_is_read_beside_the_event_loop_and_a_small_one_at_once() -> None:
    large, elsewhere = read(json.dumps(PATCH).encode())
    small, here = read(json.dumps(PATCH[:2]).encode())
    assert (len(large), len(small)) == (2000, 2)
    assert here is threading.current_thread() is not elsewhere


@pytest.mark.parametrize("size", [2, 2000])
def test_a_byte_order_mark_says_nothing(size: int) -> None:
    operations, _ = read(BOM_UTF8 + json.dumps(PATCH[:size]).encode())
    assert len(operations) == size


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_body_in_another_coding_is_told_so(coding: str) -> None:
    with pytest.raises(BadBody, match="UTF-16 or UTF-32; send UTF-8"):
        read(json.dumps(PATCH[:2]).encode(coding))
    with pytest.raises(BadBody, match="not UTF-8"):
        read('["é"]'.encode("latin-1"))
    with pytest.raises(BadBody, match="half of a pair"):
        read(b'["\\ud83d"]')


@pytest.mark.parametrize("length", [10, 100_000], ids=["small", "large"])
def test_what_is_wrong_with_a_body_is_said_whatever_its_length(length: int) -> None:
    with pytest.raises(BadBody, match="Malformed JSON"):
        read(b"[" + b" " * length)
    with pytest.raises(BadBody, match="more than 64 levels"):
        read(b"[" * 70 + b" " * length + b"]" * 70)
