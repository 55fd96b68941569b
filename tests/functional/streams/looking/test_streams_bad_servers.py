"""Servers of feeds that answer badly: each command names the address, what came, and does not wait for ever."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pysequoia
import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app
from headwater.errors import HeadwaterError
from headwater.streams.query.query import query
from headwater.streams.trees.tree import TreeRefused, TreeUnavailable
from headwater.streams.trees.web import WebTree
from servers.http.web import Answer, Asked, SendBytes, WebServer, content
from unit.streams.lint.feeds import INDEX, PRODUCTS, image_ids

CLOUD = ("--region", "RegionOne", "--endpoint", "https://keystone.example/v3")
PAGE = b"<!DOCTYPE html><html><body>log in</body></html>"
PRIVATE = "/feeds/"


@pytest.fixture
def server() -> Iterator[WebServer]:
    made = WebServer()
    for path, document in image_ids().items():
        made.pages[f"{PRIVATE}{path}"] = content(json.dumps(document).encode())
    yield made
    made.close()


def streams(*words: str) -> Result:
    return CliRunner().invoke(app, ["streams", *words])


def status(code: int, body: bytes = b"no") -> bytes:
    return b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%s" % (code, len(body), body)


def short(_: Asked, send: SendBytes) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


FAULTS = {
    "a page to log in": (content(PAGE), "web page"),
    "403": (lambda _, send: send(status(403)), "403"),
    "500": (lambda _, send: send(status(500)), "500"),
    "a wrong length": (short, "ends"),
}


@pytest.mark.parametrize("path", [INDEX, PRODUCTS])
@pytest.mark.parametrize("name", FAULTS)
def test_what_came_in_place_of_a_document_is_told(server: WebServer, name: str, path: str) -> None:
    answer, word = FAULTS[name]
    server.pages[f"{PRIVATE}{path}"] = answer
    url = server.url(PRIVATE)
    error = streams("query", url).exception
    assert isinstance(error, HeadwaterError)
    assert path in str(error), error
    if name in ("403", "500"):
        assert word in str(error)
    said = streams("lint", url, "--consumer", "juju-3.6").stdout
    assert path in said
    assert "fix: " in said
    juju = streams("find-image", *CLOUD, "--version", "24.04", "--no-defaults", "--url", url, "--for", "bootstrap")
    assert juju.exit_code == 1
    assert path in juju.stdout
    assert "failed: " in juju.stdout


@pytest.mark.parametrize("code", [401, 403])
@pytest.mark.parametrize(
    "words", [("query",), ("mirror", "TARGET"), ("publish", "TARGET"), ("verify", "--keyring", "KEY")]
)
def test_a_server_that_shows_nothing_is_not_taken_for_an_empty_one(
    server: WebServer, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    key = tmp_path / "key"
    key.write_text(str(pysequoia.Tsk.generate("Somebody <somebody@example.test>").extract_certificate()))
    for path in ("index.json", "index2.json", "index.sjson", "index2.sjson"):
        for end in ("", ".gpg"):
            server.pages[f"{PRIVATE}streams/v1/{path}{end}"] = lambda _, send: send(status(code))
    places = {"TARGET": str(tmp_path / "target"), "KEY": str(key)}
    more = [places.get(word, word) for word in words[1:]]
    error = streams(words[0], server.url(PRIVATE), *more).exception
    assert isinstance(error, TreeRefused), error
    assert f"answered {code}" in str(error)


def test_a_redirect_to_a_file_is_named(server: WebServer, tmp_path: Path) -> None:
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: file:///etc/passwd\r\n\r\n"
    server.pages[f"{PRIVATE}{INDEX}"] = lambda _, send: send(head)
    error = streams("query", f"{server.url(PRIVATE)}{INDEX}").exception
    assert "redirects to what is neither http:// nor https://" in str(error)
    assert len(server.asked) == 1


def test_the_feed_is_right_before_anything_is_wrong(server: WebServer) -> None:
    assert "image-1" in streams("query", server.url(PRIVATE)).stdout


@pytest.mark.parametrize("code", [405, 501])
def test_a_server_that_knows_no_head_is_read(server: WebServer, code: int) -> None:
    for path, answer in list(server.pages.items()):

        def only_get(asked: Asked, send: SendBytes, answer: Answer = answer) -> None:
            return send(status(code, b"")) if asked.method == "HEAD" else answer(asked, send)

        server.pages[path] = only_get
    listed = streams("list", server.url(PRIVATE))
    assert listed.exit_code == 0, listed.exception
    assert "image-1" in listed.stdout


def test_a_server_that_sends_nothing_more_is_left(server: WebServer) -> None:
    def stalled(_: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        time.sleep(3)

    server.pages[f"{PRIVATE}{PRODUCTS}"] = stalled
    tree = WebTree(server.url(PRIVATE), sleep=lambda _: None, timeout_s=0.3)
    with pytest.raises(TreeUnavailable):
        list(query(tree, []))
    tree.close()


def test_a_document_that_drips_is_read_as_long_as_it_comes(server: WebServer) -> None:
    body = json.dumps(image_ids()[PRODUCTS]).encode()

    def dripping(_: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 50):
            time.sleep(0.01)
            send(body[start : start + 50])

    server.pages[f"{PRIVATE}{PRODUCTS}"] = dripping
    tree = WebTree(server.url(PRIVATE), timeout_s=2)
    assert [row["id"] for row in query(tree, [])] == ["image-1"]
    tree.close()


def test_a_server_that_drips_a_byte_now_and_then_is_left(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.streams.trees.web._PATIENCE_S", 0.2)

    def byte_by_byte(_: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _number in range(200):
            time.sleep(0.05)
            send(b"{")

    server.pages[f"{PRIVATE}{PRODUCTS}"] = byte_by_byte
    tree = WebTree(server.url(PRIVATE), sleep=lambda _: None, timeout_s=5)
    with pytest.raises(TreeUnavailable, match=r"products\.json: the server sends less than 256 bytes a second"):
        list(query(tree, []))
    tree.close()
