"""Copies of images on the machine's own disk: one fetch for many readers, and what is kept and shown of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterDidNotStart, HeadwaterProcess, wait_until
from functional.image_requests import PATCH, an_image, upload
from servers.http.web import Asked, SendBytes, WebServer, web_server

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 17)


class Far:
    """A web server of others with one thing, which it gives as far as the test lets it."""

    def __init__(self, web: WebServer, data: bytes = DATA) -> None:
        self.data = data
        self.url = web.url("/data")
        self.gate = threading.Event()
        self.gate.set()
        self.held_at = len(data)  # where it waits for the gate
        self.breaks_off = False
        self._web = web
        web.pages["/data"] = self._answer

    @property
    def reads(self) -> list[str]:
        """The ranges that were read, in their order."""
        return [each.headers.get("range", "whole") for each in self._web.asked if each.method == "GET"]

    def hold(self, at: int) -> None:
        self.gate.clear()
        self.held_at = at

    def _answer(self, asked: Asked, send: SendBytes) -> None:
        first, _, last = asked.headers.get("range", "").removeprefix("bytes=").partition("-")
        start, end = int(first or 0), int(last or len(self.data) - 1) + 1
        size = len(self.data)
        status = b"206 Part\r\nContent-Range: bytes %d-%d/%d" % (start, end - 1, size) if first else b"200 OK"
        send(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, end - start))
        if asked.method == "HEAD":
            return
        stop = max(start, min(end, self.held_at))
        send(self.data[start:stop])
        if stop < end:
            self.gate.wait(60)
            if not self.breaks_off:
                send(self.data[stop:end])


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def far(web: WebServer) -> Iterator[Far]:
    made = Far(web)
    yield made
    made.gate.set()


Start = Callable[..., HeadwaterProcess]


@pytest.fixture
def start(fresh_headwater: FreshHeadwater, tmp_path: Path) -> Start:
    def started(workers: int = 1, *, cache: str = "", more: str = "") -> HeadwaterProcess:
        toml = f"""
            [cache]
            directory = "{tmp_path / "cache"}"
            {cache}
            [images]
            show_multiple_locations = true
            http_retries = 0
            [fetch]
            allowed_hosts = ["127.0.0.1"]
            allowed_ports = []
            [stores.file]
            type = "file"
            [stores.web]
            type = "http"
            {more}
        """
        return fresh_headwater(toml=toml, workers=workers)

    return started


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "images"


def client(service: HeadwaterProcess) -> httpx.Client:
    return httpx.Client(base_url=service.images_url, timeout=60)


def far_image(http: httpx.Client, far: Far, data: bytes = DATA) -> str:
    """Enter an image whose data lies on the web server, and whose hash is that of ``data``."""
    image_id = an_image(http, name="far")
    known = {
        "checksum": hashlib.md5(data).hexdigest(),
        "os_hash_algo": "sha512",
        "os_hash_value": hashlib.sha512(data).hexdigest(),
    }
    location = {"url": far.url, "metadata": {}, "validation_data": known}
    add = [{"op": "add", "path": "/locations/-", "value": location}]
    http.patch(f"/v2/images/{image_id}", content=json.dumps(add), headers=PATCH).raise_for_status()
    return image_id


def near_image(http: httpx.Client, data: bytes = DATA) -> str:
    image_id = an_image(http, name="near")
    upload(http, image_id, data).raise_for_status()
    return image_id


def data_of(http: httpx.Client, image_id: str, **headers: str) -> bytes:
    return http.get(f"/v2/images/{image_id}/file", headers=headers).raise_for_status().content


def cached(http: httpx.Client) -> dict[str, Any]:
    listed = http.get("/v2/cache").raise_for_status().json()["cached_images"]
    return {each["image_id"]: each for each in listed}


def _answers(service: HeadwaterProcess) -> bool:
    with contextlib.suppress(httpx.HTTPError), client(service) as http:
        return http.get("/v2/images").status_code == 200
    return False


def until_cached(http: httpx.Client, image_id: str) -> None:
    wait_until(lambda: image_id in cached(http), "the image to be in the cache")


@pytest.mark.parametrize("workers", [1, 2])
def test_many_readers_of_a_cold_image_share_one_fetch_and_read_while_it_goes_on(
    start: Start, far: Far, workers: int
) -> None:
    service = start(workers)
    with client(service) as http, ThreadPoolExecutor(24) as readers:
        image_id = far_image(http, far)
        before = len(far.reads)
        far.hold(2 * MIB)
        half = [threading.Semaphore(0) for _ in range(24)]

        def read(number: int) -> bytes:
            got = b""
            with client(service) as own, own.stream("GET", f"/v2/images/{image_id}/file") as answer:
                assert answer.headers["content-length"] == str(len(DATA))
                for piece in answer.iter_raw():
                    got += piece
                    if len(got) >= MIB:
                        half[number].release()
            return got

        reading = [readers.submit(read, number) for number in range(24)]
        assert all(each.acquire(timeout=60) for each in half)  # all have half, while nobody has all
        far.gate.set()
        assert all(each.result() == DATA for each in reading)
        assert len(far.reads) - before == 1
        until_cached(http, image_id)
        assert data_of(http, image_id) == DATA
        assert data_of(http, image_id, Range="bytes=5-99") == DATA[5:100]
        assert len(far.reads) - before == 1
        entry = cached(http)[image_id]
        assert entry["hits"] == 2
        assert entry["size"] == len(DATA)
        assert entry["checksum"] == hashlib.md5(DATA).hexdigest()


def test_a_fetch_goes_on_when_its_reader_leaves(start: Start, far: Far) -> None:
    with client(start()) as http:
        image_id = far_image(http, far)
        far.hold(MIB)
        with contextlib.suppress(httpx.HTTPError), http.stream("GET", f"/v2/images/{image_id}/file") as answer:
            next(answer.iter_raw())
        far.gate.set()
        until_cached(http, image_id)


@pytest.mark.parametrize("workers", [1, 2])
def test_readers_go_on_from_the_store_when_the_fetch_breaks_off(start: Start, far: Far, workers: int) -> None:
    service = start(workers)
    with client(service) as http, ThreadPoolExecutor(6) as readers:
        image_id = far_image(http, far)
        data_of(http, image_id)  # found right, so parts are given too
        http.delete("/v2/cache").raise_for_status()
        far.hold(2 * MIB)
        far.breaks_off = True
        reading = [readers.submit(lambda: data_of(http, image_id)) for _ in range(6)]
        wait_until(lambda: len(far.reads) >= 2, "the fetch")
        far.held_at = len(DATA)
        far.gate.set()
        assert all(each.result() == DATA for each in reading)


def test_what_is_not_the_image_s_is_neither_given_whole_nor_kept(start: Start, far: Far, files: Path) -> None:
    with client(start()) as http:
        image_id = far_image(http, far)
        far.data = DATA[:-1] + bytes([DATA[-1] ^ 1])
        with pytest.raises(httpx.HTTPError):
            data_of(http, image_id)
        wait_until(lambda: list(files.parent.glob("filling/*")) == [], "the fetch to end")
        assert list(files.iterdir()) == []
        far.data = DATA
        assert data_of(http, image_id) == DATA
        until_cached(http, image_id)


def test_a_killed_fetch_leaves_nothing_and_the_next_reader_begins_anew(start: Start, far: Far, files: Path) -> None:
    service = start(2)
    with client(service) as http:
        image_id = far_image(http, far)
        far.hold(MIB)
        with contextlib.suppress(httpx.HTTPError), http.stream("GET", f"/v2/images/{image_id}/file") as answer:
            next(answer.iter_raw())
        killed = service.workers()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        far.gate.set()
        wait_until(lambda: len(set(service.workers()) - set(killed)) == 2, "new workers")
        wait_until(lambda: _answers(service), "their answers")
    with client(service) as http:
        assert data_of(http, image_id) == DATA
        until_cached(http, image_id)
        assert list(files.parent.glob("filling/*")) == []


def test_a_cached_image_is_given_while_its_store_does_not_work(start: Start, far: Far, web: WebServer) -> None:
    with client(start()) as http:
        image_id = far_image(http, far)
        data_of(http, image_id)
        until_cached(http, image_id)
        asked = len(web.asked)
        del web.pages["/data"]
        assert data_of(http, image_id) == DATA
        assert data_of(http, image_id, Range="bytes=7-") == DATA[7:]
        assert len(web.asked) == asked  # not even whether it has the data
        web.close()
        assert data_of(http, image_id) == DATA


def test_a_deactivated_image_is_not_given_from_the_cache_and_a_deleted_one_leaves_it(
    start: Start, far: Far, files: Path
) -> None:
    with client(start()) as http:
        image_id = far_image(http, far)
        data_of(http, image_id)
        until_cached(http, image_id)
        http.delete(f"/v2/images/{image_id}").raise_for_status()
        assert list(files.iterdir()) == []
        assert http.get(f"/v2/images/{image_id}/file").status_code == 404


def test_the_cache_never_grows_above_its_size_and_keeps_what_was_read_last(start: Start, far: Far) -> None:
    with client(start(cache=f"max_size = {7 * MIB}")) as http:
        first, second, third = (far_image(http, far) for _ in range(3))
        for image_id in (first, second):
            data_of(http, image_id)
            until_cached(http, image_id)
        data_of(http, first)  # so that the second is what was not read for longest
        data_of(http, third)
        until_cached(http, third)
        assert set(cached(http)) == {first, third}
        large = os.urandom(8 * MIB)
        far.data = large
        image_id = far_image(http, far, large)
        assert data_of(http, image_id) == large
        assert set(cached(http)) == {first, third}
        refused = http.put(f"/v2/cache/{image_id}")
        assert (refused.status_code, "7340032 at most" in refused.text) == (400, True)


def test_the_api_queues_lists_deletes_and_clears(start: Start, far: Far) -> None:
    with client(start()) as http:
        assert http.get("/v2/cache").json() == {"cached_images": [], "queued_images": []}
        queued = http.post("/v2/images", json={"name": "no data"}).json()["id"]
        assert http.put(f"/v2/cache/{queued}").status_code == 400
        assert http.put(f"/v2/cache/{uuid.uuid4()}").status_code == 404
        assert http.put("/v2/cache/no-such-image").status_code == 404
        assert http.delete(f"/v2/cache/{queued}").status_code == 404
        assert http.get(f"/v2/cache/nodes/{queued}").status_code == 409
        image_id, near = far_image(http, far), near_image(http)
        for each in (image_id, near):
            assert http.put(f"/v2/cache/{each}").status_code == 202
            until_cached(http, each)
        wait_until(lambda: http.get("/v2/cache").json()["queued_images"] == [], "the queue to be done")
        assert data_of(http, near) == DATA
        assert cached(http)[near]["hits"] == 1
        assert http.delete(f"/v2/cache/{near.upper()}").status_code == 204
        assert set(cached(http)) == {image_id}
        refused = http.delete("/v2/cache", headers={"x-image-cache-clear-target": "invalid"})
        assert refused.status_code == 400
        assert http.delete("/v2/cache", headers={"x-image-cache-clear-target": "queue"}).status_code == 204
        assert set(cached(http)) == {image_id}
        assert http.post("/v2/cache/clean").status_code == 200
        assert http.post("/v2/cache/prune").json() == {"total_files_pruned": 0, "total_bytes_pruned": 0}
        assert http.delete("/v2/cache").status_code == 204
        assert cached(http) == {}


def test_without_a_cache_its_paths_are_not_found_and_its_versions_not_listed(http: httpx.Client) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("PUT", f"/{uuid.uuid4()}"), ("POST", "/prune")):
        answer = http.request(method, f"/v2/cache{path}", headers={"Accept": "application/json"})
        assert answer.status_code == 404
        assert "Caching via API is not supported at this site." in answer.text
    assert "v2.14" not in http.get("/versions").text


def test_the_versions_of_the_cache_are_listed_where_there_is_one(start: Start) -> None:
    with client(start()) as http:
        listed = http.get("/versions").json()["versions"]
        assert [each["id"] for each in listed][:5] == ["v2.18", "v2.17", "v2.16", "v2.15", "v2.14"]
        assert [each["id"] for each in listed if each["status"] == "CURRENT"] == ["v2.18"]
        assert http.get("/v2.18/cache").status_code == 200


def test_rubbish_in_the_directory_is_neither_given_nor_touched(start: Start, far: Far, files: Path) -> None:
    service = start()
    with client(service) as http:
        image_id = far_image(http, far)
        data_of(http, image_id)
        until_cached(http, image_id)
        (name,) = [each.name for each in files.iterdir()]
        (files / name).unlink()
        secret = files.parent / "secret"
        secret.write_bytes(bytes(len(DATA)))
        (files / name).symlink_to(secret)
        (files / "rubbish").write_text("rubbish")
        (files / f"{uuid.uuid4()}.sha512.zz.7").write_text("rubbish")
        (files.parent / "filling" / "rubbish").mkdir()
        (files.parent / "queue" / "rubbish").write_text("")
        assert data_of(http, image_id) == DATA
        http.post("/v2/cache/clean").raise_for_status()
        http.post("/v2/cache/prune").raise_for_status()
        until_cached(http, image_id)  # the copy took the place of the link
        assert (files / "rubbish").read_text() == "rubbish"
        assert secret.read_bytes() == bytes(len(DATA))
        assert data_of(http, image_id) == DATA


def test_a_file_that_was_cut_off_is_not_given(start: Start, far: Far, files: Path) -> None:
    with client(start()) as http:
        image_id = far_image(http, far)
        data_of(http, image_id)
        until_cached(http, image_id)
        (whole,) = files.iterdir()
        os.truncate(whole, 1000)
        assert data_of(http, image_id) == DATA


def test_a_file_into_which_somebody_wrote_is_fetched_again(start: Start, far: Far, files: Path) -> None:
    with client(start()) as http:
        image_id = far_image(http, far)
        data_of(http, image_id)
        until_cached(http, image_id)
        (whole,) = files.iterdir()
        with whole.open("r+b") as file:
            file.write(b"something else")
        assert data_of(http, image_id) == DATA
        until_cached(http, image_id)
        assert whole.read_bytes() == DATA


def test_a_directory_of_others_stops_the_start(start: Start, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "images").symlink_to(tmp_path)
    with pytest.raises(HeadwaterDidNotStart, match="section \\[cache\\], key 'directory'"):
        start()
