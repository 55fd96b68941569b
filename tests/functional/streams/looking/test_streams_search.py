"""Juju's search over real connections: statuses, certificates, and the catalogue of a real Keystone."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app
from headwater.client.keystone import keystone_session
from headwater.streams.publishing.registration import IMAGES as PRODUCT_STREAMS
from headwater.streams.publishing.registration import register
from headwater.streams.trees import web
from servers.certificates import Authority
from servers.http.web import Answer, WebServer, content, redirect
from servers.openstack.keystone import Keystone
from unit.streams.lookup.feeds import IMAGES, INDEX, INDEX2, KEYSTONE, MIRRORS, images, index

CLOUD = ("--region", "RegionOne", "--endpoint", KEYSTONE, "--version", "22.04", "--no-defaults")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(web, "PAUSES_S", (0.0, 0.0))


@pytest.fixture
def server() -> Iterator[WebServer]:
    with closing(WebServer()) as started:
        yield started


def status(code: int) -> Answer:
    return lambda _asked, send: send(b"HTTP/1.1 %d Says So\r\nContent-Length: 0\r\n\r\n" % code)


def document(body: Any) -> Answer:
    return content(json.dumps(body).encode())


def feed(server: WebServer, **answers: Answer) -> None:
    server.pages["/images/" + INDEX2] = document(index())
    server.pages["/images/" + IMAGES] = document(images())
    server.pages |= {f"/images/streams/v1/{name}.json": answer for name, answer in answers.items()}


def found(*words: str | Path) -> tuple[int, dict[str, Any]]:
    result: Result = CliRunner().invoke(app, ["streams", "find-image", *CLOUD, *map(str, words), "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_a_site_is_asked_for_the_names_that_juju_asks_for(server: WebServer) -> None:
    server.pages["/images/" + INDEX] = document(index())
    server.pages["/images/" + IMAGES] = document(images())
    code, answer = found("--url", server.url("/images"))
    assert (code, answer["image"]["id"]) == (0, "an-id")
    names = ("index2.sjson", "index.sjson", "index2.json", "index.json", "mirrors.json", "images.json")
    assert [asked.path for asked in server.asked] == [f"/images/streams/v1/{name}" for name in names]


@pytest.mark.parametrize("code", [401, 404])
def test_what_is_absent_leads_on(server: WebServer, code: int) -> None:
    feed(server, index=document(index()), index2=status(code), mirrors=status(code))
    assert found("--url", server.url("/images"))[1]["image"]["id"] == "an-id"


@pytest.mark.parametrize("code", [403, 410, 418, 500, 503])
def test_every_other_status_is_an_error(server: WebServer, code: int) -> None:
    feed(server, index=document(index()), index2=status(code))
    exit_code, answer = found("--url", server.url("/images"))
    assert (exit_code, answer["image"]) == (1, None)
    assert f'index2.json", "{code} ' in answer["problem"]
    assert not any(asked.path.endswith("/index.json") for asked in server.asked)


def test_a_login_page_is_no_feed(server: WebServer) -> None:
    server.pages["/login"] = content(b"<html>log in</html>")
    feed(server, index2=redirect("/login"))
    _, answer = found("--url", server.url("/images"))
    assert "cannot unmarshal JSON index metadata" in answer["problem"]
    assert "it is not JSON" in answer["problem"]


def test_mirrors_that_are_refused_break_images_too(server: WebServer) -> None:
    feed(server, mirrors=status(403))
    assert MIRRORS in found("--url", server.url("/images"))[1]["problem"]


def test_a_server_that_is_not_there_is_an_error_and_juju_4_goes_on(server: WebServer, tmp_path: Path) -> None:
    with closing(WebServer()) as gone:
        url = gone.url("/images")
    code, answer = found("--url", url)
    assert (code, "cannot be reached" in answer["problem"]) == (1, True)
    assert "only warns" in json.dumps(found("--url", url, "--juju", "4")[1]["steps"])


def test_a_server_proves_itself_unless_that_is_switched_off(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certificate())
    with closing(WebServer(tls=context)) as server:
        feed(server)
        code, answer = found("--url", server.url("/images"))
        assert code == 1
        assert all(each in answer["problem"] for each in ("does not prove the host", "--cafile"))
        for more in (("--insecure",), ("--cafile", authority.file)):
            assert found("--url", server.url("/images"), *more)[0] == 0


def test_what_keystone_says_is_asked(keystone: Keystone, server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    environment: Mapping[str, str] = {
        "OS_AUTH_URL": keystone.url,
        "OS_USERNAME": "admin",
        "OS_PASSWORD": keystone.admin.password,
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_ID": "default",
        "OS_PROJECT_DOMAIN_ID": "default",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    feed(server)
    register(keystone_session(environment), PRODUCT_STREAMS, server.url("/images"), ["RegionOne"])
    code, answer = found("--keystone")
    assert (code, answer["image"]["source"]) == (0, "keystone catalog")
    assert keystone.admin.password not in json.dumps(answer)
