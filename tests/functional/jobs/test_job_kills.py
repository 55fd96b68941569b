"""Whatever process is killed that runs jobs, and whenever: each job is done, and done once in all that shows."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.import_requests import make, stage
from functional.jobs.job_worker import JobWorker
from headwater.database.engine import Database
from servers.http.web import Asked, SendBytes, WebServer, web_server

KILLS = int(os.environ.get("HEADWATER_JOB_KILLS", "12"))
DOWNLOADS, STAGED, WRONG = 10, 4, 2
SIZE, PIECE = 512 << 10, 32 << 10
_PIECE_EVERY_S = 0.1
_GO_ON = "SELECT count(*) FROM jobs WHERE kind = 'import' AND failed_at IS NULL"
TOML = """\
[database]
url = "{url}"
[stores.fast]
type = "file"
[stores.cheap]
type = "file"
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
[notifications]
webhook_url = "https://127.0.0.1:9/nobody-is-there"
"""


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def service(catalogue_url: str, tmp_path: Path) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path, toml=TOML.format(url=catalogue_url), workers=2)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def worker(service: HeadwaterProcess) -> Iterator[JobWorker]:
    process = JobWorker(service, workers=2)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def database(catalogue_url: str) -> Iterator[Database]:
    one = Database(catalogue_url)
    yield one
    one.close()


def content_of(number: int) -> bytes:
    return random.Random(number).randbytes(SIZE)


def slow(data: bytes, asked: list[str]) -> Callable[[Asked, SendBytes], None]:
    def page(request: Asked, send: SendBytes) -> None:
        asked.append(request.path)
        with contextlib.suppress(OSError):  # whoever asked was killed
            send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data))
            for at in range(0, len(data), PIECE):
                send(data[at : at + PIECE])
                time.sleep(_PIECE_EVERY_S)

    return page


@pytest.mark.slow
@pytest.mark.timeout(240 + 10 * KILLS)
def test_no_job_is_lost_or_done_twice_whatever_is_killed(
    service: HeadwaterProcess, worker: JobWorker, database: Database, web: WebServer, catalogue_url: str
) -> None:
    chance = random.Random(catalogue_url.partition(":")[0])
    with httpx.Client(base_url=service.images_url, timeout=60, headers={"Accept": "application/json"}) as http:
        asked: list[str] = []
        wanted = begun(http, web, asked)
        wait_until(lambda: bool(asked), "a job has begun", 30)
        for process in running(service, worker):  # one of them has begun it
            kill(process)
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.6))
            kill_one(service, worker, chance)
        for image_id in wanted:
            wait_until(lambda image_id=image_id: is_over(http, image_id), f"the task of {image_id} is over", 120)  # type: ignore[misc]  # binds this turn's image
        wait_until(lambda: left(database) == {}, "nothing is left on its way", 60)
        for image_id, data in wanted.items():
            (task,) = http.get(f"/v2/images/{image_id}/tasks").raise_for_status().json()["tasks"]
            image = http.get(f"/v2/images/{image_id}").raise_for_status().json()
            assert (task["status"], image["status"]) == (
                ("failure", "queued") if data is None else ("success", "active")
            )
            assert lying(service, image_id) == ({} if data is None else {"fast": [data], "cheap": [data]})
            assert image["os_glance_importing_to_stores"] == ""
            assert "os_glance_import_task" not in image
            if data is not None:
                assert image["stores"].split(",") in (["fast", "cheap"], ["cheap", "fast"])
                assert http.get(f"/v2/images/{image_id}/file").content == data
    assert len(asked) > DOWNLOADS + WRONG  # kills have met jobs, and these were begun again
    told = Counter(event["subject"] for event in events(database) if event["type"] == "image.upload")
    assert told == {image_id: 1 for image_id, data in wanted.items() if data is not None}
    assert [event for event in service.logs() if event["event"] == "failed"] == []


def begun(http: httpx.Client, web: WebServer, asked: list[str]) -> dict[str, bytes | None]:
    """Begin imports, and return what each image is to have in the end; ``None``: nothing, as its import must fail."""
    wanted: dict[str, bytes | None] = {}

    def ask(image_id: str, name: str, **more: Any) -> None:
        body = {"method": {"name": name, **more}, "all_stores": True}
        assert http.post(f"/v2/images/{image_id}/import", json=body).status_code == 202

    for number in range(STAGED):
        image_id = make(http)
        stage(http, image_id, content_of(number))
        wanted[image_id] = content_of(number)
    for image_id in wanted:
        ask(image_id, "glance-direct")
    for number in range(STAGED, STAGED + DOWNLOADS + WRONG):
        data = content_of(number)
        web.pages[f"/{number}"] = slow(data, asked)
        image_id = make(http)
        is_wrong = number >= STAGED + DOWNLOADS
        hash_ = {"os_hash_algo": "md5", "os_hash_value": "0" * 32} if is_wrong else {}
        ask(image_id, "web-download", uri=web.url(f"/{number}"), **hash_)
        wanted[image_id] = None if is_wrong else data
    return wanted


def kill_one(service: HeadwaterProcess, worker: JobWorker, chance: random.Random) -> None:
    """Kill a process that runs jobs, or all of those that do nothing else."""
    if chance.random() < 0.2:
        worker.kill()
        worker.start()
        return
    processes = running(service, worker)
    if processes:
        kill(chance.choice(processes))


def running(service: HeadwaterProcess, worker: JobWorker) -> list[int]:
    """Return the processes that run jobs now."""
    return [*service.workers(), *worker.processes()]


def kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def is_over(http: httpx.Client, image_id: str) -> bool:
    try:
        (task,) = http.get(f"/v2/images/{image_id}/tasks").raise_for_status().json()["tasks"]
    except httpx.TransportError:  # the connection was with a process that was killed
        return False
    return task["status"] in ("success", "failure")


def lying(service: HeadwaterProcess, image_id: str) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for file in service.data_dir.glob(f"stores/*/*/**/{image_id}.*"):
        found.setdefault(file.relative_to(service.data_dir).parts[1], []).append(file.read_bytes())
    return found


def left(database: Database) -> dict[str, int]:
    """Return how many rows there are of what is on its way."""

    def count(connection: Any) -> dict[str, int]:
        counts = {
            table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
            for table in ("import_objects", "discarded_objects", "uploads")
        }
        counts["jobs"] = connection.exec_driver_sql(_GO_ON).scalar()
        return {name: number for name, number in counts.items() if number}

    return database.read(count)


def events(database: Database) -> list[dict[str, Any]]:
    """Return the events that wait for a receiver who never takes one."""
    query = "SELECT document FROM notifications"
    return [json.loads(row[0]) for row in database.read(lambda c: c.exec_driver_sql(query).all())]
