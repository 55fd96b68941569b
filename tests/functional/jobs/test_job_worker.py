"""Jobs of processes that do nothing else, and of services that leave them to those."""

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
from functional.headwater_process import HeadwaterProcess, wait_until
from functional.import_requests import ended, make
from functional.jobs.job_worker import JobWorker
from servers.http.web import Asked, SendBytes, WebServer, content, web_server

BLOB = bytes(range(256)) * 4096
TOML = """\
[jobs]
in_service = false
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
"""


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/image"] = content(BLOB)
        yield server


@pytest.fixture
def service(fresh_headwater: FreshHeadwater) -> HeadwaterProcess:
    return fresh_headwater(toml=TOML)


@pytest.fixture
def http(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.images_url, timeout=60, headers={"Accept": "application/json"}) as client:
        yield client


def download(http: httpx.Client, url: str) -> str:
    image_id = make(http)
    body = {"method": {"name": "web-download", "uri": url}}
    assert http.post(f"/v2/images/{image_id}/import", json=body).status_code == 202
    return image_id


def task(http: httpx.Client, image_id: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"/v2/images/{image_id}/tasks").json()["tasks"][-1]
    return found


def jobs(service: HeadwaterProcess, *words: str) -> list[dict[str, Any]]:
    done = service.command("jobs", "list", "--json", *words)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_service_leaves_its_jobs_to_workers(service: HeadwaterProcess, http: httpx.Client, web: WebServer) -> None:
    image_id = download(http, web.url("/image"))
    wait_until(
        lambda: 'headwater_jobs{kind="import",state="waiting"} 1.0' in http.get("/metrics").text, "it counts", 40
    )
    (job,) = jobs(service, "--kind", "import")
    assert (job["state"], job["image"], job["attempts"], job["runner"]) == ("waiting", image_id, 0, None)
    assert task(http, image_id)["status"] == "pending"
    worker = JobWorker(service)
    worker.start()
    try:
        assert ended(http, image_id)["status"] == "success"
        assert http.get(f"/v2/images/{image_id}/file").content == BLOB
        wait_until(lambda: jobs(service, "--kind", "import") == [], "a job that is done is not kept")
        assert listening(worker.pid, *worker.processes()) == set()
    finally:
        assert worker.stop() == 0
    wait_until(
        lambda: 'headwater_jobs{kind="import",state="waiting"} 0.0' in http.get("/metrics").text, "it counts", 40
    )


def listening(*pids: int) -> set[str]:
    """Return the inodes of sockets of TCP on which these processes listen."""
    waits = {
        line.split()[9]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    held = {str(file.readlink()) for pid in pids for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()}
    return {inode for inode in waits if f"socket:[{inode}]" in held}


def test_a_worker_that_stops_makes_way_and_no_attempt_is_counted(
    service: HeadwaterProcess, http: httpx.Client, web: WebServer
) -> None:
    """Also while the server, from which a job reads, is silent."""
    asked, over = threading.Semaphore(0), threading.Event()

    def slow(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB))
        send(BLOB[:70000])
        asked.release()
        over.wait(60)
        send(BLOB[70000:])

    web.pages["/slow"] = slow
    image_id = download(http, web.url("/slow"))
    first, second = JobWorker(service, "first"), JobWorker(service, "second")
    first.start()
    try:
        assert asked.acquire(timeout=30)
        assert first.stop() == 0
        assert not over.is_set()
        (job,) = jobs(service, "--image", image_id)
        assert (job["state"], job["attempts"]) == ("waiting", 0)
        second.start()
        assert asked.acquire(timeout=30)
        over.set()
        assert ended(http, image_id)["status"] == "success"
    finally:
        over.set()
        first.kill()
        second.kill()
    assert http.get(f"/v2/images/{image_id}/file").content == BLOB


def test_a_worker_that_is_killed_is_replaced(service: HeadwaterProcess) -> None:
    worker = JobWorker(service, workers=2)
    worker.start()
    try:
        before = set(worker.processes())
        assert len(before) == 2
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(set(worker.processes()) - {victim}) == 2, "another takes its place", 30)
        assert worker.stop() == 0
    finally:
        worker.kill()


def test_a_store_of_one_process_has_its_jobs_there(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(toml='[server]\nworkers = 1\n[stores.m]\ntype = "memory"\n', workers=None, start=False)
    done = service.command("worker")
    assert done.returncode == 2
    assert 'a store of type "memory" lives in one process' in done.stderr
    service.config_file.write_text(service.config_file.read_text() + "[jobs]\nin_service = false\n")
    done = service.command("config", "check")
    assert done.returncode == 2
    assert "key 'in_service' to true" in done.stderr


def test_an_operator_steers_what_waits(service: HeadwaterProcess, http: httpx.Client, web: WebServer) -> None:
    image_id = download(http, f"{web.url('/image')}?signature=geheim")
    (job,) = jobs(service, "--image", image_id)
    for words in (("list",), ("list", "--json"), ("show", job["id"]), ("show", job["id"], "--json")):
        done = service.command("jobs", *words)
        assert done.returncode == 0, done.stderr
        assert job["id"] in done.stdout
        assert "geheim" not in done.stdout
    done = service.command("jobs", "cancel", job["id"])
    assert (done.returncode, done.stderr) == (0, "")
    assert [each["cancelled_by"] for each in jobs(service, "--image", image_id)] == ["an operator"]
    worker = JobWorker(service)
    worker.start()
    try:
        told = ended(http, image_id)
        assert (told["status"], told["message"]) == ("failure", "cancelled by an operator")
        assert http.get(f"/v2/images/{image_id}").json()["status"] == "queued"
        wait_until(lambda: jobs(service, "--image", image_id) == [], "it is gone")
        assert worker.stop() == 0  # in order: what it was at runs no more
    finally:
        worker.kill()
    for verb in ("show", "retry", "cancel"):
        done = service.command("jobs", verb, job["id"], "--json")
        assert done.returncode == 1
        assert json.loads(done.stderr)["error"]["type"] == "JobNotFound"
    standing = next(each for each in jobs(service) if each["kind"].startswith("sweep:"))
    done = service.command("jobs", "cancel", standing["id"], "--json")
    assert json.loads(done.stderr)["error"]["type"] == "JobStands"
    assert service.command("jobs", "retry", standing["id"]).returncode == 0
