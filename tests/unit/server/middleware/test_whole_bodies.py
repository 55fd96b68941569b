from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from headwater.http.requests import PartOfABody
from headwater.server.middleware.whole_bodies import CodedBody, WholeBodies


async def ask(method: str, name: str, value: str) -> bool:
    """Return whether the application was asked."""
    asked = False

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        nonlocal asked
        asked = True

    async def nothing() -> Message:
        raise AssertionError

    async def nowhere(_message: Message) -> None:
        raise AssertionError

    scope = {"type": "http", "method": method, "headers": [(name.encode(), value.encode())]}
    await WholeBodies(app)(scope, nothing, nowhere)
    return asked


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("value", ["gzip", "GZIP", "identity, gzip", "zstd", "aes128gcm", "gzip,identity"])
def test_a_coded_body_reaches_no_handler(method: str, value: str) -> None:
    with pytest.raises(CodedBody) as refused:
        asyncio.run(ask(method, "content-encoding", value))
    assert refused.value.headers == {"Accept-Encoding": "identity"}


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
@pytest.mark.parametrize("value", ["bytes 5-9/10", "bytes 0-9/10", "bytes */10", "items 0-1/2", ""])
def test_a_part_of_a_body_reaches_no_handler(method: str, value: str) -> None:
    with pytest.raises(PartOfABody):
        asyncio.run(ask(method, "content-range", value))


@pytest.mark.parametrize("value", ["5", "00", "x"])
def test_who_goes_on_with_an_upload_where_none_is_reaches_no_handler(value: str) -> None:
    with pytest.raises(PartOfABody):
        asyncio.run(ask("PUT", "upload-offset", value))


def test_the_first_part_of_an_upload_by_older_drafts_reaches_no_handler() -> None:
    for method in ("PUT", "POST", "PATCH"):
        with pytest.raises(PartOfABody):
            asyncio.run(ask(method, "upload-incomplete", "?1"))


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("PUT", "content-encoding", "identity"),
        ("PUT", "content-encoding", "Identity"),
        ("PUT", "content-encoding", ""),
        ("PUT", "accept-encoding", "gzip"),
        ("PUT", "upload-offset", "0"),
        ("PATCH", "upload-offset", "5"),
        ("PUT", "upload-incomplete", "?0"),
        ("GET", "content-range", "bytes 0-4/*"),
        ("GET", "content-encoding", "gzip"),
    ],
)
def test_all_else_does(method: str, name: str, value: str) -> None:
    assert asyncio.run(ask(method, name, value))
