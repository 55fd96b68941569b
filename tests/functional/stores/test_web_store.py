from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.stores.store import ObjectNotFound, Stored, StoreUnavailable
from headwater.stores.web import HttpStore, StoreReadOnly
from servers.http.web import WebServer, content, web_server

DATA = bytes(range(256)) * 500


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/data"] = content(DATA)
        yield server


@pytest.fixture
def store() -> HttpStore:
    return HttpStore("web", Fetcher(FetchSettings(allowed_hosts=("127.0.0.1",), allowed_ports=())))


def test_an_object_is_read_by_its_url_whole_and_in_parts(web: WebServer, store: HttpStore) -> None:
    url = web.url("/data")
    assert b"".join(store.read(url)) == DATA
    assert b"".join(store.read(url, 1000, 70_000)) == DATA[1000:71_000]
    assert store.stat(url) == Stored(url, len(DATA))
    assert store.url_of(url) == url


def test_it_never_writes_and_never_deletes(web: WebServer, store: HttpStore) -> None:
    with pytest.raises(StoreReadOnly):
        store.begin(web.url("/data"))
    store.delete(web.url("/data"))
    assert list(store.list()) == []
    assert web.connections == 0


def test_what_the_server_does_not_have_is_told_at_once_and_without_the_query(web: WebServer, store: HttpStore) -> None:
    for call in (store.read, store.stat):
        with pytest.raises(ObjectNotFound) as missing:
            call(web.url("/absent?signature=secret"))
        assert "secret" not in str(missing.value)


def test_a_server_that_fails_is_a_store_that_does_not_work(web: WebServer, store: HttpStore) -> None:
    web.pages["/down"] = lambda _asked, send: send(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
    web.pages["/short"] = lambda _asked, send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    web.pages["/unsized"] = lambda _asked, send: send(b"HTTP/1.1 200 OK\r\n\r\nabc")
    for url in (web.url("/down"), "http://127.1/", "http://example.org/"):
        with pytest.raises(StoreUnavailable, match="store web does not work"):
            store.read(url)
    with pytest.raises(StoreUnavailable, match="broke off"):
        list(store.read(web.url("/short")))
    with pytest.raises(StoreUnavailable, match="how large"):
        store.stat(web.url("/unsized"))
