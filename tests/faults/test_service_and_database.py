"""The service as its callers see it while its database is in trouble."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import pytest
from sqlalchemy import text

from functional.headwater_process import HeadwaterProcess
from headwater.database.engine import Database
from servers.database.databases import SERVERS
from servers.mortal import MortalDatabase, mortal_server

DOCUMENT = {"name": "x", "disk_format": "raw", "container_format": "bare"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


@pytest.fixture(params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in SERVERS])
def mortal(request: pytest.FixtureRequest) -> Iterator[MortalDatabase]:
    with mortal_server(request.param) as server:
        yield server


@pytest.fixture
def service(mortal: MortalDatabase, tmp_path: Path) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path, toml=f'[database]\nurl = "{mortal.url}"\n')
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One for all callers: to make one takes longer than most answers."""
    with httpx.Client(timeout=60, limits=httpx.Limits(max_connections=64)) as client:
        yield client


def new_image(client: httpx.Client, service: HeadwaterProcess) -> str:
    image_id: str = client.post(f"{service.images_url}/v2/images", json=DOCUMENT).raise_for_status().json()["id"]
    return image_id


def patch(client: httpx.Client, service: HeadwaterProcess, image_id: str) -> int:
    body = [{"op": "replace", "path": "/name", "value": "y"}]
    return client.patch(f"{service.images_url}/v2/images/{image_id}", json=body, headers=PATCH).status_code


def test_an_image_that_a_stranger_holds_costs_only_those_who_change_it(
    client: httpx.Client, mortal: MortalDatabase, service: HeadwaterProcess
) -> None:
    held, other = new_image(client, service), new_image(client, service)
    stranger = Database(mortal.url)
    slowest = 0.0
    with stranger.engine.connect() as connection, ThreadPoolExecutor(20) as callers:
        connection.execute(text("SELECT id FROM images WHERE id = :id FOR UPDATE"), {"id": held})
        begun = time.monotonic()
        asked = [callers.submit(patch, client, service, held) for _ in range(20)]
        while not all(each.done() for each in asked):
            for path in ("/v2/images", f"/v2/images/{other}"):
                before = time.monotonic()
                client.get(service.images_url + path).raise_for_status()
                slowest = max(slowest, time.monotonic() - before)
            time.sleep(0.05)
        took = time.monotonic() - begun
        connection.rollback()
    stranger.close()
    assert Counter(each.result() for each in asked) == {503: 20}
    assert slowest < 1.8  # less than a row is waited for
    assert took < 10
    assert patch(client, service, held) == 200


def test_a_database_that_stands_still_is_503_in_time_and_all_is_well_after(
    client: httpx.Client, mortal: MortalDatabase, service: HeadwaterProcess
) -> None:
    image = new_image(client, service)

    def ask(path: str) -> tuple[int, float]:
        begun = time.monotonic()
        return client.get(service.images_url + path).status_code, time.monotonic() - begun

    with mortal.standing_still(), ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(ask, ["/v2/images", f"/v2/images/{image}"] * 6))
        assert {status for status, _ in answers} == {503}
        assert max(took for _, took in answers) < 10
        status, took = ask("/v2/images")
        assert (status, took < 1) == (503, True)
        metadata = client.get(f"{service.metadata_url}/latest/meta-data/")
        assert metadata.status_code == 503
    time.sleep(2)
    assert ask(f"/v2/images/{image}")[0] == 200
    assert patch(client, service, image) == 200


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_no_image_is_created_in_an_sqlite_file_that_is_gone(client: httpx.Client, tmp_path: Path, change: str) -> None:
    service = HeadwaterProcess(tmp_path, workers=2)
    service.start()
    try:
        for _ in range(10):
            new_image(client, service)
        file = service.data_dir / "headwater.db"
        told: list[int] = []
        ended = threading.Event()

        def create() -> None:
            while not ended.is_set():
                told.append(client.post(f"{service.images_url}/v2/images", json=DOCUMENT).status_code)

        creators = [threading.Thread(target=create) for _ in range(4)]
        for each in creators:
            each.start()
        if change == "replaced":
            shutil.copy(file, file.with_suffix(".copy"))
            file.with_suffix(".copy").rename(file)
        else:
            file.unlink()
        time.sleep(0.2)
        after = len(told) + 4  # answers of what was on its way
        time.sleep(1)
        ended.set()
        for each in creators:
            each.join(60)
        assert set(told[after:]) == {503}
        assert set(told) <= {201, 503}
        assert file.exists() == (change == "replaced")
        assert client.get(f"{service.images_url}/healthcheck").status_code == 503
    finally:
        service.stop()
