"""Sources: a service that brings images from feeds by itself, over its API, through kills and failures."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import run_headwater, wait_until
from functional.users import proof, users_file
from servers.http.web import Asked, SendBytes, WebServer, content
from unit.streams.syncing.cloud_feed import CloudFeed

ALLOWED = '[fetch]\nallowed_hosts = ["127.0.0.1"]\n'
SOURCES = "/v2/streams/sources"


class Site:
    """A service, a web server with a feed, and an administrator."""

    def __init__(self, fresh: FreshHeadwater) -> None:
        self.web = WebServer()
        self.service = fresh(toml=f"{ALLOWED}allowed_ports = [{self.web.port}]\n")
        self.feed = CloudFeed({"22.04": ["20250101"], "24.04": ["20250101"], "20.04": ["20250101"]})
        self.publish()
        self.http = httpx.Client(base_url=self.service.images_url, timeout=60)

    def publish(self) -> None:
        for path, body in {**self.feed.documents, **self.feed.files}.items():
            self.web.pages[f"/{path}"] = content(body)

    def add(self, **more: Any) -> dict[str, Any]:
        document = {"name": "ubuntu", "url": self.web.url("/"), "jitter_s": 0, **more}
        answer = self.http.post(SOURCES, json=document)
        assert answer.status_code == 201, answer.text
        added: dict[str, Any] = answer.json()
        return added

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"{SOURCES}/ubuntu").raise_for_status().json()["state"]
        return found

    def act(self, action: str, code: int = 202) -> None:
        answer = self.http.post(f"{SOURCES}/ubuntu/actions/{action}")
        assert answer.status_code == code, answer.text

    def run(self) -> dict[str, Any]:
        """Let the source run, and return its state when that has ended."""
        before = self.state()["job_id"]
        self.act("run")
        return self.ended(before)

    def ended(self, before: str | None = None) -> dict[str, Any]:
        def is_over() -> bool:
            state = self.state()
            return state["job_id"] != before and state["outcome"] not in (None, "running") and bool(state["ended_at"])

        wait_until(is_over, "the run ends", 60)
        return self.state()

    def images(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for hidden in ("false", "true"):
            query = {"os_hidden": hidden, "visibility": "all"}
            found += self.http.get("/v2/images", params=query).raise_for_status().json()["images"]
        return found


@pytest.fixture
def site(fresh_headwater: FreshHeadwater) -> Iterator[Site]:
    made = Site(fresh_headwater)
    yield made
    made.http.close()
    made.web.close()


def test_a_source_runs_when_it_is_added_and_its_images_are_in_the_live_feed(site: Site) -> None:
    added = site.add(terms={"filters": ["arch=amd64"], "properties": {"hw_firmware_type": "uefi"}})
    assert added["state"]["outcome"] is None
    state = site.ended()
    assert (state["outcome"], state["error"], state["report"]["counts"]) == ("done", None, {"created": 3})
    assert state["succeeded_at"] == state["ended_at"]
    assert state["next_run_at"] > state["began_at"]
    assert {(each["status"], each["visibility"], each["hw_firmware_type"]) for each in site.images()} == {
        ("active", "public", "uefi")
    }
    feed = site.http.get("/simplestreams/images/streams/v1/index.json").raise_for_status().json()
    [entry] = [each for each in feed["index"].values() if each["datatype"] == "image-ids"]
    assert len(entry["products"]) == 3
    assert site.run()["report"]["counts"] == {"same": 3}
    for line in (
        'headwater_stream_source_up{source="ubuntu"} 1.0',
        'headwater_stream_source_images_total{did="created",source="ubuntu"} 3.0',
        'headwater_stream_source_images_total{did="same",source="ubuntu"} 3.0',
    ):
        wait_until(lambda line=line: line in site.http.get("/metrics").text, line)  # type: ignore[misc]  # this turn's


def test_what_is_wrong_is_told_and_the_next_run_is_right(site: Site) -> None:
    good = site.feed.item("22.04", "20250101")["sha256"]
    site.feed.item("22.04", "20250101")["sha256"] = "0" * 64
    site.publish()
    site.add()
    state = site.ended()
    assert state["outcome"] == "failed"
    assert "sha256" in state["error"]
    assert len(site.images()) == 2
    site.feed.item("22.04", "20250101")["sha256"] = good
    site.publish()
    assert site.run()["outcome"] == "done"
    assert len(site.images()) == 3


def test_a_feed_that_is_away_fails_the_run_and_not_the_service(site: Site) -> None:
    site.web.pages = {}
    site.add()
    state = site.ended()
    assert state["outcome"] == "failed"
    assert "there is no" in state["error"] or "no feed" in state["error"] or "no index" in state["error"]
    assert state["next_run_at"] is not None


def test_a_service_that_is_killed_in_a_run_goes_on_with_it(site: Site) -> None:
    path = "/" + site.feed.item("24.04", "20250101")["path"]
    asked, going_on = threading.Event(), threading.Event()
    whole = site.feed.files[path[1:]]

    def slow(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole[:1000])
        asked.set()
        going_on.wait(30)

    site.web.pages[path] = slow
    site.add()
    assert asked.wait(30)
    os.killpg(site.service.pid, signal.SIGKILL)
    going_on.set()
    wait_until(lambda: not site.service.is_running(), "it is dead")
    site.web.pages[path] = content(whole)
    site.service.start()
    state = site.ended()
    assert (state["outcome"], state["error"]) == ("done", None)
    images = site.images()
    assert len(images) == 3
    assert {(each["status"], each["visibility"]) for each in images} == {("active", "public")}


def test_a_run_is_ended_on_request_and_the_next_one_goes_on(site: Site) -> None:
    path = "/" + site.feed.item("24.04", "20250101")["path"]
    asked, going_on = threading.Event(), threading.Event()
    whole = site.feed.files[path[1:]]

    def slow(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole[:1000])
        asked.set()
        going_on.wait(30)

    site.web.pages[path] = slow
    site.act("cancel", 404)
    site.add()
    assert asked.wait(30)
    site.act("cancel")
    state = site.ended()
    going_on.set()
    assert state["outcome"] == "cancelled"
    site.act("cancel", 409)
    site.web.pages[path] = content(whole)
    assert site.run()["outcome"] == "done"
    assert len(site.images()) == 3


def test_sources_are_changed_and_removed_and_bad_ones_refused(site: Site) -> None:
    site.add(enabled=False)
    assert site.state()["next_run_at"] is None
    assert site.http.post(SOURCES, json={"name": "ubuntu", "url": site.web.url("/")}).status_code == 409
    wrong: tuple[Any, ...] = (
        [],
        {"name": "a/b", "url": site.web.url("/")},
        {"name": "a", "url": "file:///etc/passwd"},
        {"name": "a", "url": "http://user:secret@127.0.0.1/"},
        {"name": "a", "url": "http://10.1.2.3/"},
        {"name": "a", "url": site.web.url("/"), "keyring": "bm8ga2V5cmluZw=="},
        {"name": "a", "url": site.web.url("/"), "terms": {"filters": ["("]}},
        {"name": "a", "url": site.web.url("/"), "terms": {"keep": 1, "max_versions": 2}},
        {"name": "a", "url": site.web.url("/"), "hook": "rm"},
    )
    for bad in wrong:
        answer = site.http.post(SOURCES, json=bad)
        assert answer.status_code == 400, (bad, answer.text)
        assert "secret" not in answer.text
    merge = {"Content-Type": "application/merge-patch+json"}
    changed = site.http.patch(
        f"{SOURCES}/ubuntu", content=b'{"terms": {"max_versions": 2, "filters": ["arch=arm64"]}}', headers=merge
    )
    assert changed.json()["terms"]["max_versions"] == 2
    changed = site.http.patch(f"{SOURCES}/ubuntu", content=b'{"terms": {"max_versions": null}}', headers=merge)
    assert changed.json()["terms"]["max_versions"] == 1
    assert changed.json()["terms"]["filters"] == ["arch=arm64"]
    assert [each["name"] for each in site.http.get(SOURCES).json()["sources"]] == ["ubuntu"]
    assert site.http.delete(f"{SOURCES}/ubuntu").status_code == 204
    assert site.http.get(f"{SOURCES}/ubuntu").status_code == 404
    assert site.http.delete(f"{SOURCES}/ubuntu").status_code == 404


def test_sources_are_for_administrators_and_what_they_do_is_recorded(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    toml = users_file(tmp_path, ann=("a", "member"), root=("c", "admin"))
    audit = tmp_path / "audit.log"
    service = fresh_headwater(toml=f'{ALLOWED}{toml}\n[audit]\nfile = "{audit}"\n')
    document = {"name": "ubuntu", "url": "http://127.0.0.1/", "enabled": False}
    with httpx.Client(base_url=service.images_url, timeout=30) as http:
        assert http.get(SOURCES).status_code == 401
        for method, path in (("GET", SOURCES), ("POST", SOURCES), ("DELETE", f"{SOURCES}/x"), ("GET", f"{SOURCES}/x")):
            body = document if method == "POST" else None
            assert http.request(method, path, json=body, headers=proof("ann")).status_code == 403
        made = http.post(SOURCES, json=document, headers=proof("root"))
        assert made.status_code == 201, made.text
        assert made.json()["project_id"] == "c"
    records = audit.read_text()
    assert '"stream_source.create"' in records
    assert '"denied"' in records
    assert '"source": "ubuntu"' in records or '"source":"ubuntu"' in records


def test_the_commands_do_what_the_api_does(site: Site, tmp_path: Path) -> None:
    def command(*words: str, code: int = 0) -> str:
        done = run_headwater("streams", "sources", *words, "--to", site.service.images_url, directory=tmp_path)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    url = site.web.url("/")
    command("add", "ubuntu", url, "arch=amd64", "version=24.04", "--disabled", "--keep", "2", "--property", "a={arch}")
    shown = json.loads(command("show", "ubuntu", "--json"))
    assert (shown["terms"]["filters"], shown["terms"]["keep"]) == (["arch=amd64", "version=24.04"], 2)
    assert "ubuntu" in command("list")
    changed = json.loads(command("set", "ubuntu", "--interval", "600", "--unset", "keep", "--json"))
    assert (changed["interval_s"], changed["terms"]["keep"]) == (600, None)
    assert changed["terms"]["filters"] == ["arch=amd64", "version=24.04"]
    command("run", "ubuntu")
    site.ended()
    assert "created=1" in command("show", "ubuntu")
    assert "no run" in command("cancel", "ubuntu", code=1)
    command("remove", "ubuntu")
    assert json.loads(command("list", "--json")) == []
    assert "has no source 'ubuntu'" in command("show", "ubuntu", code=1)
    assert "keep is less than max_versions" in command("add", "x", url, "--keep", "1", "--max", "2", code=2)
    assert "say what is to change" in command("set", "x", code=2)
    assert len(site.images()) == 1
