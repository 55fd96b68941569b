from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import formatdate, parsedate_to_datetime
from typing import TypeVar

import anyio.to_thread
import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from headwater.errors import HeadwaterError
from headwater.http import errors
from headwater.streams.http.live import routes
from headwater.streams.live.feed import LiveFeed
from headwater.streams.settings import StreamsSettings
from unit.streams.catalogue import ListedImages, image
from unit.streams.keys import OpenKey, open_key

T = TypeVar("T")

INDEX = "/simplestreams/images/streams/v1/index.json"
MADE_AT = 1_800_000_000


def in_thread(work: Callable[[], T], /) -> Awaitable[T]:
    return anyio.to_thread.run_sync(work)


def told(_: Request, error: Exception) -> Response:
    return errors.answer(error, "application/json", "req-1")


class Served:
    """The feed behind a client that follows no redirect, with a clock to move."""

    def __init__(self, key: OpenKey) -> None:
        self.now = float(MADE_AT) + 0.5
        self.source = ListedImages([image(1)])
        feed = LiveFeed(self.source, StreamsSettings(), key.signer, lambda: self.now)
        self._app = Starlette(
            routes=routes(feed, in_thread, "/simplestreams", lambda: self.now),
            exception_handlers={HeadwaterError: told},
        )

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None
    ) -> httpx.Response:
        async def send() -> httpx.Response:
            transport, plain = httpx.ASGITransport(self._app), {"Accept-Encoding": "identity"}
            async with httpx.AsyncClient(transport=transport, base_url="http://feed.test", headers=plain) as client:
                return await client.request(method, url, headers=headers)

        return asyncio.run(send())

    def get(self, url: str, headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None) -> httpx.Response:
        return self.ask("GET", url, headers)


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


@pytest.fixture
def served(key: OpenKey) -> Served:
    return Served(key)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("index.json", "application/json"),
        ("index2.json", "application/json"),
        ("mirrors.json", "application/json"),
        ("com.ubuntu.cloud-released-imagemetadata.json", "application/json"),
        ("index.sjson", "text/plain; charset=utf-8"),
        ("index2.sjson", "text/plain; charset=utf-8"),
        ("mirrors.sjson", "text/plain; charset=utf-8"),
        ("com.ubuntu.cloud-released-imagemetadata.sjson", "text/plain; charset=utf-8"),
    ],
)
def test_each_document_is_served_with_its_type(served: Served, name: str, content_type: str) -> None:
    url = f"/simplestreams/images/streams/v1/{name}"
    answer = served.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type
    assert answer.headers["cache-control"] == "no-cache"
    head = served.ask("HEAD", url)
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(answer.headers)
    assert int(head.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    "path",
    [
        "/simplestreams/",
        "/simplestreams/images",
        "/simplestreams/images/",
        "/simplestreams/images/streams/v1",
        "/simplestreams/images/streams/v1/",
        "/simplestreams/images/streams/v1/index.json/",
        "/simplestreams/images/streams/v1//index.json",
        "/simplestreams/images/streams/v1/index.html",
        "/simplestreams/images/streams/v1/%2e%2e/v1/index.json",
        "/simplestreams/images/streams/v1/..%2findex.json",
        "/simplestreams/images/streams/v2/index.json",
        "/simplestreams/streams/v1/index.json",
        "/simplestreams/images/streams/v1/index.json.gpg",
    ],
)
def test_what_is_not_there_is_a_plain_404(served: Served, path: str) -> None:
    for method in ("GET", "HEAD"):
        answer = served.ask(method, path)
        assert answer.status_code == 404
        assert "location" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_refused_with_the_ones_that_do(served: Served, method: str) -> None:
    for path, does in ((INDEX, {"GET", "HEAD", "OPTIONS"}), ("/simplestreams/nothing", {"GET", "HEAD"})):
        answer = served.ask(method, path)
        assert answer.status_code == 405
        assert {name.strip() for name in answer.headers["allow"].split(",")} == does


def test_a_caller_that_has_the_document_gets_304(served: Served) -> None:
    etag = served.get(INDEX).headers["etag"]
    for held in (etag, f"W/{etag}", f'"other", {etag}', f'"a,b",W/{etag} ', "*"):
        answer = served.get(INDEX, headers={"If-None-Match": held})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
        assert "content-length" not in answer.headers
        assert served.ask("HEAD", INDEX, headers={"If-None-Match": held}).status_code == 304


def test_two_header_lines_with_entity_tags_are_one_list(served: Served) -> None:
    etag = served.get(INDEX).headers["etag"]
    headers = [("If-None-Match", '"other"'), ("If-None-Match", etag)]
    assert served.get(INDEX, headers=headers).status_code == 304


def test_a_caller_with_another_document_gets_this_one(served: Served) -> None:
    etag = served.get(INDEX).headers["etag"]
    for held in ('"other"', etag.strip('"'), "", "W/", etag[:-1], "**"):
        assert served.get(INDEX, headers={"If-None-Match": held}).status_code == 200


def test_a_change_gives_another_entity_tag(served: Served) -> None:
    etag = served.get(INDEX).headers["etag"]
    served.source.change_to(image(1), image(2, architecture="aarch64"))
    answer = served.get(INDEX, headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert answer.headers["etag"] != etag


def test_the_date_validates_once_its_second_is_over(served: Served) -> None:
    served.get(INDEX)
    served.now += 1
    date = served.get(INDEX).headers["last-modified"]
    assert parsedate_to_datetime(date).timestamp() == MADE_AT
    assert served.get(INDEX, headers={"If-Modified-Since": date}).status_code == 304
    later = formatdate(MADE_AT + 60, usegmt=True)
    assert served.get(INDEX, headers={"If-Modified-Since": later}).status_code == 304
    earlier = formatdate(MADE_AT - 60, usegmt=True)
    assert served.get(INDEX, headers={"If-Modified-Since": earlier}).status_code == 200


def test_two_changes_in_one_second_are_not_taken_for_one(served: Served) -> None:
    date = served.get(INDEX).headers["last-modified"]
    served.now += 0.2
    served.source.change_to()
    for wait in (0.0, 5.0):
        served.now += wait
        assert served.get(INDEX, headers={"If-Modified-Since": date}).status_code == 200


def test_the_entity_tag_decides_alone_where_both_are_given(served: Served) -> None:
    served.get(INDEX)
    served.now += 1
    date = served.get(INDEX).headers["last-modified"]
    headers = {"If-None-Match": '"other"', "If-Modified-Since": date}
    assert served.get(INDEX, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Tue, 99 Jul 2026 12:00:00 GMT", "1e999", "Tue, 21 Jul 99999 12:00:00 GMT"]
)
def test_a_date_that_is_none_is_ignored(served: Served, date: str) -> None:
    assert served.get(INDEX, headers={"If-Modified-Since": date}).status_code == 200
