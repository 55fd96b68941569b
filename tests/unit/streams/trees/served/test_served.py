"""Trees of our own over HTTP: files as they are, in parts, packed; nothing else, and no lists."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2 as httpx
import pytest
from starlette.routing import Router

from headwater.server.metrics import Metrics
from headwater.server.middleware.observe import Observed
from headwater.streams.http.trees import routes
from headwater.streams.trees.directory import DirectoryTree
from headwater.streams.trees.served.packing import Packed
from headwater.streams.trees.served.stored import ServedDirectory, StoredTree, served
from headwater.threads import Pool

DOCUMENT = json.dumps({"format": "index:1.0", "index": {}, "filling": "x" * 2000}).encode()
AGENT = b"\x1f\x8b" + os.urandom(5000)


class Site:
    def __init__(self, root: Path, *, stored: bool = False) -> None:
        self.root = root
        self.pool = Pool("trees", 2)
        tree = StoredTree("site", DirectoryTree(root)) if stored else served("site", DirectoryTree(root))
        found = routes({"site": tree}, ServedDirectory("agents", root / "agents"), self.pool, self.pool)
        # As a listener has it: what an answer tells besides is added around the routes.
        self._app = Observed(Router(found), "images", Metrics())

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://site.test") as client:
                return await client.request(method, path, headers={"Accept-Encoding": "identity", **(headers or {})})

        return asyncio.run(send())

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.ask("GET", f"/trees/site/{path}", headers)


@pytest.fixture(params=["directory", "of a service"])
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    root = tmp_path / "root"
    for path, data in (
        ("streams/v1/index.json", DOCUMENT),
        ("streams/v1/index.sjson", b"-----BEGIN PGP SIGNED MESSAGE-----"),
        ("agent/3.6.1/juju-3.6.1-linux-amd64.tgz", AGENT),
        ("empty", b""),
        ("a b+c%.img", b"odd"),
        (".headwater-1234", b"unfinished"),
        ("headwater-writer.json", b"a machine"),
        ("headwater-mirror.json", b"where it is from"),
        ("agents/streams/v1/index2.json", DOCUMENT),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    (tmp_path / "secret").write_bytes(b"secret")
    made = Site(root, stored=request.param == "of a service")
    yield made
    made.pool.close()


@pytest.mark.parametrize(
    ("path", "data", "kind"),
    [
        ("streams/v1/index.json", DOCUMENT, "application/json"),
        ("agent/3.6.1/juju-3.6.1-linux-amd64.tgz", AGENT, "application/gzip"),
        ("empty", b"", "application/octet-stream"),
        ("a%20b+c%25.img", b"odd", "application/octet-stream"),
    ],
)
def test_a_file_is_given_as_it_is(site: Site, path: str, data: bytes, kind: str) -> None:
    found = site.get(path)
    assert (found.status_code, found.content, found.headers["content-type"]) == (200, data, kind)
    assert found.headers["access-control-allow-origin"] == "*"
    head = site.ask("HEAD", f"/trees/site/{path}")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(data)))
    assert head.headers["etag"] == found.headers["etag"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "streams",
        "streams/",
        "streams/v1/",
        "nothing",
        "../secret",
        "%2e%2e/secret",
        "streams/..%2f..%2f..%2fsecret",
        "%252e%252e/secret",
        "/streams/v1/index.json",
        "streams//v1/index.json",
        "streams/v1/index.json/",
        "streams/v1/index.json%00",
        "streams\\v1\\index.json",
        "http:/secret",
        ".headwater-1234",
        "headwater-writer.json",
        "headwater-mirror.json",
        "x" * 5000,
        "empty/below",
    ],
)
def test_what_is_no_file_of_the_tree_is_a_plain_404(site: Site, path: str) -> None:
    found = site.get(path)
    assert found.status_code == 404
    assert str(site.root) not in found.text


def test_pages_read_why_there_is_no_file_and_which_form_suits_is_for_the_client_to_say(site: Site) -> None:
    assert site.get("nothing").headers["access-control-allow-origin"] == "*"
    for said, coding in (("gzip", "gzip"), ("identity, gzip;q=0.5", None), ("gzip;q=0, *", None), ("*", "gzip")):
        answer = site.get("streams/v1/index.json", {"Accept-Encoding": said})
        assert answer.headers.get("content-encoding") == coding, said


def test_links_that_lead_out_of_a_directory_lead_nowhere(site: Site) -> None:
    (site.root / "out").symlink_to(site.root.parent / "secret")
    (site.root / "up").symlink_to(site.root.parent)
    (site.root / "in").symlink_to("streams/v1/index.json")
    os.mkfifo(site.root / "pipe")
    directory = Site(site.root)
    try:
        assert directory.get("out").status_code == 404
        assert directory.get("up/secret").status_code == 404
        assert directory.get("pipe").status_code == 404
        assert directory.get("in").content == DOCUMENT
    finally:
        directory.pool.close()


def test_a_part_is_given_to_who_has_the_rest(site: Site) -> None:
    path = "agent/3.6.1/juju-3.6.1-linux-amd64.tgz"
    etag = site.get(path).headers["etag"]
    for asked, part in (("bytes=0-0", slice(0, 1)), ("bytes=100-", slice(100, None)), ("bytes=-7", slice(-7, None))):
        found = site.get(path, {"Range": asked, "If-Range": etag})
        assert (found.status_code, found.content) == (206, AGENT[part])
    assert site.get(path, {"Range": "bytes=1-2", "If-Range": '"other"'}).content == AGENT
    past = site.get(path, {"Range": "bytes=5002-"})
    assert (past.status_code, past.headers["content-range"]) == (416, "bytes */5002")


def test_who_has_a_file_is_told_so_until_it_is_another(site: Site) -> None:
    path = "streams/v1/index.json"
    os.utime(site.root / path, (1_700_000_000, 1_700_000_000))
    first = site.get(path)
    assert site.get(path, {"If-None-Match": first.headers["etag"]}).status_code == 304
    assert site.get(path, {"If-Modified-Since": first.headers["last-modified"]}).status_code == 304
    (site.root / path).write_bytes(DOCUMENT + b" ")
    assert site.get(path, {"If-None-Match": first.headers["etag"]}).status_code == 200
    assert site.get(path, {"If-Modified-Since": first.headers["last-modified"]}).status_code == 200


def test_documents_are_packed_for_those_who_take_it_and_agents_are_not(site: Site) -> None:
    packed = site.get("streams/v1/index.json", {"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == DOCUMENT  # the client unpacks it
    assert int(packed.headers["content-length"]) < len(DOCUMENT)
    held = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]}
    assert site.get("streams/v1/index.json", held).status_code == 304
    part = site.get("streams/v1/index.json", {"Accept-Encoding": "gzip", "Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, DOCUMENT[:4])
    agent = site.get("agent/3.6.1/juju-3.6.1-linux-amd64.tgz", {"Accept-Encoding": "gzip"})
    assert "content-encoding" not in agent.headers
    assert agent.content == AGENT


def test_a_page_may_ask_before_it_reads_and_nobody_writes(site: Site) -> None:
    asked = site.ask("OPTIONS", "/trees/site/streams/v1/index.json")
    assert asked.status_code == 204
    assert "Range" in asked.headers["access-control-allow-headers"]
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert site.ask(method, "/trees/site/streams/v1/index.json").status_code == 405


def test_agents_are_at_tools(site: Site) -> None:
    assert site.ask("GET", "/tools/streams/v1/index2.json").content == DOCUMENT
    for path in ("/tools", "/tools/", "/tools/streams", "/tools/../agents", "/trees", "/trees/", "/trees/no/x"):
        assert site.ask("GET", path).status_code == 404, path


def test_what_is_packed_is_kept_within_its_bounds_and_made_once() -> None:
    packed, made = Packed(limit=100), []

    def read() -> bytes:
        made.append(1)
        return os.urandom(60)

    first = packed.of("a", read)
    assert packed.of("a", read) == first
    assert gzip.decompress(first)
    packed.of("b", read)
    packed.of("a", read)
    assert len(made) == 3
