"""How the JSON of a request is read."""

from __future__ import annotations

import asyncio
import json
import threading
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


@pytest.mark.parametrize("length", [10, 100_000], ids=["small", "large"])
def test_what_is_wrong_with_a_body_is_said_whatever_its_length(length: int) -> None:
    with pytest.raises(BadBody, match="Malformed JSON"):
        read(b"[" + b" " * length)
    with pytest.raises(BadBody, match="more than 64 levels"):
        read(b"[" * 70 + b" " * length + b"]" * 70)
