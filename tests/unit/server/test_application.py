"""One worker's parts together: no kind of work keeps another from being done."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from pydantic import SecretStr

from contracts.image_catalogue import NOON, add, an_image
from contracts.unheard import UnheardImages
from headwater.database import schema
from headwater.database.engine import Database
from headwater.http.context import context
from headwater.identity.caller import OPERATOR
from headwater.images.catalogue.discarded import discard
from headwater.images.catalogue.public import PublicImageRows
from headwater.images.data.admission import Admitted
from headwater.images.model import Location
from headwater.instances.sources.openstack.settings import OpenStackSettings
from headwater.jobs.leases import LEASE_S
from headwater.server import health
from headwater.server.application import Application
from headwater.server.pools import LOOPS, LOOPS_OF_CLOUD
from headwater.server.settings import ServerSettings, Settings
from headwater.stores.memory import MemoryStoreSettings
from headwater.stores.store import StoreUnavailable
from templates import sqlite_catalogue

IMAGES = "/v2/images"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(
        data_dir=tmp_path,
        server=ServerSettings(workers=1, catalogue_threads=2),
        stores={"memory": MemoryStoreSettings(type="memory")},
    )
    sqlite_catalogue(tmp_path / "headwater.db")
    return settings


@pytest.fixture
def worker(settings: Settings) -> Iterator[Application]:
    made = Application(settings, Admitted())
    yield made
    made.close()


def test_a_worker_does_not_begin_on_an_empty_file_in_the_place_of_the_catalogue(settings: Settings) -> None:
    database = Database(settings.database_url)
    assert database.file is not None
    database.close()
    database.file.unlink()
    database.file.touch()
    with pytest.raises(schema.CatalogueTooOld):
        Application(settings, Admitted())


@asynccontextmanager
async def client(worker: Application) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(worker.image_listener)
    async with httpx.AsyncClient(transport=transport, base_url="http://headwater.test", timeout=20) as made:
        yield made


class Hang:
    """Work that does not end before the test lets it."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self, *_: object, **__: object) -> Any:
        self.began.release()
        assert self.go_on.wait(30)
        return []

    def __enter__(self) -> Hang:
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()


def eventually(holds: Callable[[], bool]) -> Awaitable[None]:
    async def wait() -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    return wait()


# --- Requests ----------------------------------------------------------------------------------------

# Source: the ASGI specification, and what Starlette's routers add.
ASGI = "type asgi http_version server client scheme method root_path path raw_path query_string headers extensions"
ROUTERS = "app_root_path endpoint path_params route router"


@pytest.mark.parametrize(
    "path", [IMAGES, "/v2.9/images", "/versions", "/", "/healthcheck/live", "/simplestreams/images", "/streams/x"]
)
def test_a_scope_holds_nothing_of_ours_but_the_context_and_keeps_its_path(worker: Application, path: str) -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "server": ("127.0.0.1", 9292),
        "client": ("192.0.2.1", 5),
        "root_path": "",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"headwater.test")],
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        await worker.image_listener(scope, receive, send)

    asyncio.run(ask())
    assert sent
    assert scope["path"] == path
    assert scope.keys() - {*ASGI.split(), *ROUTERS.split()} == {"headwater"}
    assert context(scope).request_id is not None
    assert (context(scope).caller is not None) == path.startswith("/v2")


# --- Health ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthcheck", "/healthcheck/ready", "/healthcheck/live", "/metrics"])
def test_health_and_metrics_are_read_only(worker: Application, path: str) -> None:
    async def ask() -> None:
        async with client(worker) as http:
            got, head = await http.get(path), await http.head(path)
            assert (got.status_code, head.status_code, head.content) == (200, 200, b"")
            if path != "/metrics":
                assert got.text == "OK"
                assert head.headers["content-length"] == "2"
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                refused = await http.request(method, path, headers={"accept": "application/json"})
                assert refused.status_code == 405
                assert path in refused.json()["message"]
                assert {name.strip() for name in refused.headers["allow"].split(",")} == {"GET", "HEAD"}
            assert (await http.get("/healthcheck/other")).status_code == 404

    asyncio.run(ask())


def test_a_store_that_hangs_is_named_in_time_and_holds_one_thread(
    worker: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LIMIT_S", 0.3)

    async def ask() -> None:
        with Hang() as hang:
            for part in worker.health.parts:
                if "memory" in part._name:
                    monkeypatch.setattr(part, "_check", hang)
            async with client(worker) as http:
                began = time.monotonic()
                answers = await asyncio.gather(*(http.get("/healthcheck") for _ in range(20)))
                answers += [await http.get("/healthcheck") for _ in range(3)]
                assert time.monotonic() - began < 20  # the store hangs for 30 s
                assert {answer.status_code for answer in answers} == {503}
                assert answers[0].text == "The store memory does not answer within 0.3 s"
                assert hang.began.acquire(blocking=False)
                assert not hang.began.acquire(blocking=False)  # one thread looks, however often it is asked about
                assert (await http.get("/healthcheck/live")).status_code == 200
                assert (await http.get("/metrics")).status_code == 200
                assert (await http.get(IMAGES)).status_code == 200
                hang.go_on.set()
                looks = [part._look for part in worker.health.parts if part._look is not None]
                await eventually(lambda: all(look.done() for look in looks))
                assert (await http.get("/healthcheck")).status_code == 200

    asyncio.run(ask())


def test_the_catalogue_that_hangs_is_named_in_time_while_every_thread_waits_for_it(
    worker: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LIMIT_S", 0.3)

    async def ask() -> None:
        with Hang() as hang:
            monkeypatch.setattr(worker.database, "read", hang)
            async with client(worker) as http:
                waiting = [asyncio.create_task(http.get(IMAGES)) for _ in range(20)]
                await eventually(lambda: hang.began.acquire(blocking=False))
                assert not any(each.done() for each in waiting)
                began = time.monotonic()
                answer = await http.get("/healthcheck")
                assert time.monotonic() - began < 20  # the store hangs for 30 s
                assert (answer.status_code, "The catalogue does not answer" in answer.text) == (503, True)
                assert (await http.get("/healthcheck/live")).status_code == 200
                assert (await http.get("/metrics")).status_code == 200
                for each in waiting:
                    each.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)  # what they would say is of no use here

    asyncio.run(ask())


def test_each_part_that_does_not_work_is_named_and_no_more_is_told(
    worker: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise StoreUnavailable("memory", "/secret/path is gone")

    def errs() -> None:
        raise ValueError("secret")

    async def ask() -> None:
        catalogue, store = worker.health.parts
        monkeypatch.setattr(catalogue, "_check", errs)
        monkeypatch.setattr(store, "_check", fails)
        async with client(worker) as http:
            answer = await http.get("/healthcheck")
        assert answer.status_code == 503
        assert "The catalogue could not be checked" in answer.text
        assert "store memory does not work" in answer.text
        assert "secret" not in answer.text

    asyncio.run(ask())


def test_the_log_hears_of_health_when_it_changes(
    worker: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise StoreUnavailable("memory", "it rests")

    store = worker.health.parts[1]
    works = store._check
    caplog.set_level("INFO", health.__name__)

    async def ask() -> None:
        async with client(worker) as http:
            for check in (works, fails, fails, works, works):
                monkeypatch.setattr(store, "_check", check)
                await http.get("/healthcheck")

    asyncio.run(ask())
    assert [record.getMessage() for record in caplog.records if record.name == health.__name__] == [
        "not healthy",
        "healthy again",
    ]


def test_a_full_disk_of_the_catalogue_is_not_healthy(worker: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.statvfs_result((4096, 4096, 1 << 20, 10, 10, 1, 1, 1, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)

    async def ask() -> httpx.Response:
        async with client(worker) as http:
            return await http.get("/healthcheck")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.text) == (
        503,
        "The catalogue has no room for a change at the moment. Try again later.",
    )


# --- Kinds of work -----------------------------------------------------------------------------------


def test_a_feed_that_is_made_anew_holds_up_no_image(worker: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    with Hang() as hang:
        monkeypatch.setattr(PublicImageRows, "everything", hang)

        async def ask() -> None:
            async with client(worker) as http:
                index = "/simplestreams/images/streams/v1/index.json"
                feed = [asyncio.create_task(http.get(index)) for _ in range(8)]
                await eventually(lambda: hang.began.acquire(blocking=False))
                assert (await asyncio.wait_for(http.get(IMAGES), 10)).status_code == 200
                assert not any(each.done() for each in feed)
                hang.go_on.set()
                assert {(await each).status_code for each in feed} == {200}

        asyncio.run(ask())


def test_uploads_that_end_together_leave_connections_to_the_catalogue(worker: Application, settings: Settings) -> None:
    """Every thread that moves data or waits for others holds a connection, and a list is answered at once."""
    others = 2 * (settings.server.transfer_threads + settings.server.web_threads)

    async def ask() -> None:
        with ExitStack() as held:
            for _ in range(others):
                held.enter_context(worker.database.engine.connect())
            async with client(worker) as http:
                assert (await asyncio.wait_for(http.get(IMAGES), 10)).status_code == 200

    asyncio.run(ask())


def test_each_loop_that_asks_the_database_has_a_connection(worker: Application, settings: Settings) -> None:
    assert sum(loop.asks_database for loop in worker._loops) == LOOPS
    known = OpenStackSettings(auth_url="http://127.0.0.1:9/v3", username="u", password=SecretStr("p"), project_name="p")
    metadata = settings.metadata.model_copy(update={"openstack": known})
    with contextlib.closing(Application(settings.model_copy(update={"metadata": metadata}), Admitted())) as other:
        assert sum(loop.asks_database for loop in other._loops) == LOOPS + LOOPS_OF_CLOUD


# --- While nobody waits -------------------------------------------------------------------------------


def test_leases_are_renewed_while_the_house_and_a_sweep_stand_still(
    worker: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = an_image("x", disk_format="raw", container_format="bare")
    add(UnheardImages(worker.database), image)
    data = worker.images.uploads.begin(OPERATOR, image.id)
    records = worker.images.uploads._records
    worker.database.write(lambda connection: discard(connection, [Location("memory", "old")], NOON))
    (first,) = records.uploads()
    monkeypatch.setattr(worker._loops[0], "_every_s", 0.05)

    async def ask() -> None:
        with Hang() as deletes, Hang() as clears:
            monkeypatch.setattr(worker.stores["memory"], "delete", deletes)
            work = asyncio.create_task(worker.work())
            await eventually(lambda: deletes.began.acquire(blocking=False))
            monkeypatch.setattr(worker.images._leftovers, "clear_dead", clears)
            seen = {first.expires_at}
            deadline = time.monotonic() + 20
            while len(seen) < 5:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
                seen.add(records.uploads()[0].expires_at)
            assert max(seen) > time.time_ns() // 1000 + (LEASE_S - 5) * 1_000_000
            work.cancel()

    asyncio.run(ask())
    data.abandon()


def test_notifications_that_cannot_begin_end_nothing_and_are_tried_again(
    worker: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def start() -> None:
        tried.append(1)
        raise FileNotFoundError("the file of certificates is gone")

    loop = worker._loops[-1]
    monkeypatch.setattr(loop, "_work", start)
    monkeypatch.setattr(loop, "_every_s", 0.01)

    async def ask() -> None:
        work = asyncio.create_task(worker.work())
        await eventually(lambda: len(tried) > 3)
        assert not work.done()
        work.cancel()

    asyncio.run(ask())


def test_a_loop_that_ends_by_surprise_ends_the_work(worker: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ends() -> None:
        raise SystemError("by surprise")

    monkeypatch.setattr(worker._loops[1], "run", ends)

    async def ask() -> None:
        with pytest.raises(ExceptionGroup):
            await asyncio.wait_for(worker.work(), 20)

    asyncio.run(ask())
