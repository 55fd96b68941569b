"""Where the bodies of requests are decoded and read."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from starlette.requests import Request

from headwater.images.attributes import V21, TooManyOperations
from headwater.images.http_v2.requests import SMALL_BODY, BadBody, json_body, json_object, patch_operations


def request(body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


@pytest.mark.parametrize(("size", "on_the_loop"), [(SMALL_BODY, True), (SMALL_BODY + 1, False)])
def test_a_large_body_is_read_off_the_event_loop(size: int, on_the_loop: bool) -> None:
    body = json.dumps("x" * (size - 2)).encode()
    reader = asyncio.run(json_body(request(body), lambda _: threading.get_ident()))
    assert (reader == threading.get_ident()) is on_the_loop


@pytest.mark.parametrize("padding", [0, SMALL_BODY])
def test_a_body_that_is_refused_is_refused_the_same_in_a_thread(padding: int) -> None:
    space = b" " * padding
    for body in (b"[1]", b"{", b"[" * 70 + b"]" * 70, b'"\xff"'):
        with pytest.raises(BadBody):
            asyncio.run(json_object(request(space + body)))


def test_a_patch_of_very_many_operations_is_refused_in_a_thread() -> None:
    body = json.dumps([{"op": "add", "path": "/p", "value": "x"}] * 90_000).encode()
    with pytest.raises(TooManyOperations):
        asyncio.run(patch_operations(request(body), V21))
