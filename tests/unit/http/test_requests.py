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
from headwater.json_keys import twice

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


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('{"name": "a", "name": "b"}', "name"),
        ('{"name": "a", "n\\u0061me": "a"}', "name"),
        ('{"a": {"b": 1, "c": [{"": 1, "": 1}]}}', ""),
        ('{"a": 1e1, "b": {"b": -0.0, "a": null}, "a": 1e1}', "a"),
        ('[{"op": "add", "path": "/name", "value": "a", "path": "/id"}]', "path"),
        (json.dumps({f"k{number}": number for number in range(9999)})[:-1] + ', "k77": 1}', "k77"),
    ],
    ids=["object", "escaped", "deep", "numbers", "patch", "large"],
)
def test_a_key_that_stands_twice_in_an_object_is_refused_by_its_name(body: str, key: str) -> None:
    with pytest.raises(BadBody, match=f"^Malformed JSON in request body: an object has the key '{key}' twice; give it"):
        asyncio.run(json_body(a_request(body.encode())))


@pytest.mark.parametrize(
    "body",
    [
        '{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}',
        '{"a": "\\"a\\": 1, \\"a\\": 1"}',
        '{"a": 1, "A": 1, "\u00e4": 1, "a\u0308": 1}',
    ],
    ids=["in-each-other", "in-a-text", "nearly"],
)
def test_keys_of_different_objects_and_different_keys_are_taken(body: str) -> None:
    assert asyncio.run(json_body(a_request(body.encode()))) == json.loads(body)


def test_what_is_no_json_or_too_deep_is_for_others_to_refuse() -> None:
    assert twice('{"a": 1, "a": 1') == twice("[" * 100_000 + ":::") == twice(b'{"a\xff": 1, "a": 2}') is None
    assert twice('{"a": ' + "1" * 9999 + ', "b": 1}') is None
    assert (
        twice('{"' + "a" * 999 + '": 1, "' + "a" * 999 + '": 2}')
        == f"an object has the key {'a' * 64!r} twice; give it once"
    )
