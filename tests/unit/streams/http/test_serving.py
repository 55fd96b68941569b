"""Documents in the form that each request asks for, and those that its index names whatever changes meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx2 as httpx
import pytest
from starlette.routing import Router

from headwater.server.metrics import Metrics
from headwater.server.middleware.observe import Observed
from headwater.streams.http.live import routes
from headwater.streams.http.looks import Looks
from headwater.streams.live.feed import LiveFeed
from headwater.streams.settings import StreamsSettings
from unit.streams.catalogue import ListedImages, image
from unit.streams.http.test_http import INDEX, Served, in_thread
from unit.streams.keys import OpenKey, open_key

T = TypeVar("T")

BELOW = "/simplestreams/images"
PRODUCTS = f"{BELOW}/streams/v1/com.ubuntu.cloud-released-imagemetadata.json"
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


@pytest.fixture
def served(key: OpenKey) -> Served:
    return Served(key)


def path_in(index: bytes) -> str:
    (entry,) = json.loads(index[index.index(b"{") : index.rindex(b"}") + 1])["index"].values()
    return f"{BELOW}/{entry['path']}"


# --- Forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "coding"),
    [
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("br;q=1.0, gzip;q=0.2", "gzip"),
        ("*", "gzip"),
        ("identity;q=0, *", "gzip"),
        ("gzip ; q = 1", "gzip"),
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip;q=0", None),
        ("gzip;q=0.0, *", None),
        ("*;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=nan", None),
        ("gzip;q=x", None),
        ("gzip;q=-1", None),
        ("gzipped", None),
    ],
)
def test_a_client_gets_the_coding_that_it_says_it_takes(served: Served, said: str, coding: str | None) -> None:
    plain = served.get(INDEX)
    answer = served.get(INDEX, {"Accept-Encoding": said})
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.content == plain.content
    assert (answer.headers["etag"] == plain.headers["etag"]) == (coding is None)


def test_each_form_has_an_entity_tag_that_validates_that_form_only(served: Served) -> None:
    plain, packed = served.get(INDEX).headers["etag"], served.get(INDEX, GZIP).headers["etag"]
    assert plain != packed
    assert served.get(INDEX, {**GZIP, "If-None-Match": packed}).status_code == 304
    assert served.get(INDEX, {"If-None-Match": plain}).status_code == 304
    assert served.get(INDEX, {**GZIP, "If-None-Match": plain}).status_code == 200
    assert served.get(INDEX, {"If-None-Match": packed}).status_code == 200
    held = served.get(INDEX, {**GZIP, "If-None-Match": f"{plain}, {packed}"})
    assert (held.status_code, held.headers["etag"], held.headers["vary"]) == (304, packed, "Accept-Encoding")


def test_a_document_is_compressed_once_and_the_same_in_every_process() -> None:
    one, other = (LiveFeed(ListedImages([image(1)]), StreamsSettings()).document("index.json") for _ in range(2))
    assert one.gzipped() is one.gzipped()
    assert one.gzipped().body == other.gzipped().body
    assert gzip.decompress(one.gzipped().body) == one.body


def test_a_few_bytes_are_sent_as_they_are(served: Served) -> None:
    answer = served.get(f"{BELOW}/streams/v1/mirrors.json", GZIP)
    assert "content-encoding" not in answer.headers


# --- Parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "first", "last"), [("bytes=0-9", 0, 9), ("bytes=10-", 10, None), ("bytes=-7", -7, None)]
)
def test_a_part_is_of_the_plain_form(served: Served, asked: str, first: int, last: int | None) -> None:
    whole = served.get(INDEX)
    for more in ({}, GZIP):
        answer = served.get(INDEX, {**more, "Range": asked})
        expected = whole.content[first : None if last is None else last + 1]
        assert (answer.status_code, answer.content) == (206, expected)
        assert answer.headers["etag"] == whole.headers["etag"]
        start = first % len(whole.content)
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(expected) - 1}/{len(whole.content)}"
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=5-2", "bytes=x"])
def test_a_part_that_is_not_there_is_refused_with_the_size(served: Served, asked: str) -> None:
    answer = served.get(INDEX, {"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(served.get(INDEX).content)}"


def test_who_asks_for_several_parts_gets_all(served: Served) -> None:
    answer = served.get(INDEX, {"Range": "bytes=0-1,4-5"})
    assert (answer.status_code, answer.content) == (200, served.get(INDEX).content)


def test_a_part_of_another_document_is_all_of_this_one(served: Served) -> None:
    etag = served.get(INDEX).headers["etag"]
    assert served.get(INDEX, {"Range": "bytes=0-9", "If-Range": etag}).status_code == 206
    served.source.change_to(image(1), image(2, architecture="aarch64"))
    answer = served.get(INDEX, {"Range": "bytes=0-9", "If-Range": etag})
    assert answer.status_code == 200
    assert json.loads(answer.content)


def test_who_has_the_beginning_of_the_compressed_form_gets_its_rest(key: OpenKey) -> None:
    served = Served(key)
    etag = served.get(INDEX, GZIP).headers["etag"]
    answer = served.ask("HEAD", INDEX, {**GZIP, "Range": "bytes=5-", "If-Range": etag})
    assert (answer.status_code, answer.headers["content-encoding"]) == (206, "gzip")


# --- Pages of other origins ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["index.json", "nothing.json"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_pages_of_every_origin_read_the_feed_and_what_went_wrong(method: str, name: str) -> None:
    feed = LiveFeed(ListedImages([image(1)]), StreamsSettings())
    app = Observed(Router(routes(feed, in_thread, "/simplestreams")), "images", Metrics())

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://feed.test") as client:
            return await client.request(method, f"{BELOW}/streams/v1/{name}", headers={"Origin": "https://page.test"})

    answer = asyncio.run(send())
    assert answer.status_code == (200 if name == "index.json" else 404)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "etag" in answer.headers["access-control-expose-headers"].lower()


def test_browsers_are_told_before_that_pages_may_ask(served: Served) -> None:
    answer = served.ask(
        "OPTIONS",
        INDEX,
        {
            "Origin": "https://page.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "if-none-match",
        },
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert "if-none-match" in answer.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in answer.headers


# --- Editions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["index.json", "index2.json", "index.sjson", "index2.sjson"])
def test_the_products_of_an_index_are_there_after_a_change(served: Served, name: str) -> None:
    path = path_in(served.get(f"{BELOW}/streams/v1/{name}").content)
    assert path.endswith(name.partition(".")[2])
    before = served.get(path)
    served.source.change_to(image(2))
    after = served.get(path)
    assert image(1).id in after.text
    assert image(2).id not in after.text
    if name.endswith(".json"):
        assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
    newest = served.get(path_in(served.get(f"{BELOW}/streams/v1/{name}").content))
    assert image(2).id in newest.text
    assert image(2).id in served.get(PRODUCTS).text


def test_products_of_before_that_nobody_fetched_yet_are_there_too(served: Served) -> None:
    path = path_in(served.get(INDEX).content)
    served.source.change_to(image(2))
    served.get(INDEX)
    assert image(1).id in served.get(path).text


def test_products_of_before_are_put_together_once_for_all_who_ask() -> None:
    source = ListedImages([image(1)])
    feed = LiveFeed(source, StreamsSettings())
    paths = []
    for number in range(2, 9):
        paths.append(path_in(feed.document("index.json").body).rpartition("/")[2])
        source.change_to(image(number))
    feed.document("index.json")
    assert len(set(paths)) == 7
    for path in paths:
        assert feed.document(path) is feed.document(path)
    assert len({feed.document(path).body for path in paths}) == 7


def test_after_the_grace_the_newest_products_stand_there(served: Served) -> None:
    path = path_in(served.get(INDEX).content)
    served.source.change_to(image(2))
    served.get(INDEX)
    served.now += StreamsSettings().grace_s - 1
    assert image(1).id in served.get(path).text
    served.now += 2
    assert image(2).id in served.get(path).text


def test_products_that_another_process_named_are_the_newest_here(served: Served) -> None:
    """Another worker may have made an index of an edition that this one has never seen."""
    other = PRODUCTS.replace(".json", "-0123456789abcdef.json")
    assert served.get(other).json() == served.get(PRODUCTS).json()
    assert served.get(other.replace("imagemetadata", "other")).status_code == 404
    assert served.get(other.replace("abcdef", "ABCDEF")).status_code == 404


def test_what_says_the_same_has_the_same_name(served: Served) -> None:
    path = path_in(served.get(INDEX).content)
    served.source.change_to(image(1))
    assert path_in(served.get(INDEX).content) == path


# --- Looks ---------------------------------------------------------------------------------------


def test_requests_that_wait_together_share_one_look_that_began_after_them() -> None:
    started, go_on = threading.Event(), threading.Event()
    looked: list[int] = []

    def look() -> int:
        looked.append(len(looked))
        if len(looked) == 1:
            started.set()
            assert go_on.wait(10)
        return len(looked)

    async def ask() -> list[int]:
        looks = Looks(look, in_thread)
        first = asyncio.ensure_future(looks.now())
        await in_thread(lambda: started.wait(10))
        others = [asyncio.ensure_future(looks.now()) for _ in range(50)]
        await asyncio.sleep(0)
        go_on.set()
        return list(await asyncio.gather(first, *others))

    assert asyncio.run(ask()) == [1, *[2] * 50]


def test_a_look_that_fails_is_told_to_all_that_wait_and_to_nobody_later() -> None:
    answers: list[Exception | int] = [ValueError("no database"), 7]

    def look() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def ask() -> list[object]:
        looks = Looks(look, in_thread)
        failed = await asyncio.gather(looks.now(), looks.now(), return_exceptions=True)
        return [*map(str, failed), await looks.now()]

    assert asyncio.run(ask()) == ["no database", "no database", 7]


def test_a_client_that_leaves_takes_nothing_from_the_others() -> None:
    go_on = threading.Event()

    def waiting(work: Callable[[], T], /) -> Awaitable[T]:
        return in_thread(work)

    async def ask() -> int:
        looks = Looks(lambda: int(go_on.wait(10)), waiting)
        leaves, stays = asyncio.ensure_future(looks.now()), asyncio.ensure_future(looks.now())
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.sleep(0)
        go_on.set()
        return await stays

    assert asyncio.run(ask()) == 1
