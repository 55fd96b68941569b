"""A process that stages or imports is killed at each of its steps: another one ends the import as if nothing had been.

Nothing is lost, nothing half is an image's data, and no byte lies in a store that no image has.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import pytest

from functional.killed.imports import ADMIN, DATA, act_at, bring, opened, run_jobs
from headwater.database.engine import Database
from headwater.errors import HeadwaterError
from headwater.images.assembly.service import ImageService
from headwater.images.model import Status
from headwater.images.task import TaskOver
from needs import CHECKOUT
from servers.http.web import WebServer, content, web_server
from templates import sqlite_catalogue

FEWEST_STEPS = 8


class Try(Protocol):
    """Let a process of its own do something, and be killed at a step; return whether it was."""

    def __call__(self, action: str, number: int) -> bool: ...


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    sqlite_catalogue(tmp_path / "catalogue.db")
    return tmp_path


@pytest.fixture
def attempt(directory: Path) -> Iterator[Try]:
    command = [sys.executable, "-m", "functional.killed.imports"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT / "tests", bufsize=1
    ) as process:
        assert process.stdin
        assert process.stdout

        def make(action: str, number: int) -> bool:
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{directory} {action} {number}\n")
            answer = process.stdout.readline().strip()
            assert answer in ("killed", "done")
            return answer == "killed"

        yield make
        process.stdin.close()


@pytest.fixture
def service(directory: Path) -> Iterator[tuple[ImageService, Database]]:
    with opened(directory) as both:
        yield both


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/image"] = content(DATA)
        yield server


def an_image(service: ImageService, **fields: Any) -> str:
    return service.images.create(ADMIN, {"disk_format": "raw", "container_format": "bare", **fields}).id


def lying(directory: Path, image_id: str) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for store in ("fast", "cheap"):
        files = [*(directory / store).glob(f"*/**/{image_id}.*")]
        if files:
            found[store] = [file.read_bytes() for file in files]
    return found


def rows(database: Database) -> dict[str, int]:
    """Return what is left of imports in the catalogue."""

    def count(connection: Any) -> dict[str, int]:
        return {
            table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
            for table in ("import_objects", "discarded_objects", "uploads", "jobs")
        }

    return database.read(count)


NOTHING = {"import_objects": 0, "discarded_objects": 0, "uploads": 0, "jobs": 0}


def staged(service: ImageService, _web: WebServer, **fields: Any) -> str:
    image_id = an_image(service, **fields)
    bring(service.staging.begin(ADMIN, image_id))
    return image_id


def begin(service: ImageService, image_id: str, name: str, *stores: str, **method: str) -> str:
    service.imports.begin(ADMIN, image_id, {"method": {"name": name, **method}, "stores": list(stores)})
    return image_id


def copied(service: ImageService, web: WebServer) -> str:
    image_id = an_image(service)
    bring(service.uploads.begin(ADMIN, image_id))
    return begin(service, image_id, "copy-image", "cheap")


Begin = Callable[[ImageService, WebServer], str]
GOOD: dict[str, tuple[Begin, set[str]]] = {
    "staged, where it lies": (lambda s, w: begin(s, staged(s, w), "glance-direct", "fast"), {"fast"}),
    "staged, to both": (lambda s, w: begin(s, staged(s, w), "glance-direct", "fast", "cheap"), {"fast", "cheap"}),
    "staged, to another": (lambda s, w: begin(s, staged(s, w), "glance-direct", "cheap"), {"cheap"}),
    "from a URL": (
        lambda s, w: begin(s, an_image(s), "web-download", "fast", "cheap", uri=w.url("/image")),
        {"fast", "cheap"},
    ),
    "copied": (copied, {"fast", "cheap"}),
}
BAD: dict[str, Begin] = {
    "staged": lambda s, w: begin(s, staged(s, w, disk_format="qcow2"), "glance-direct", "fast"),
    "from a URL": lambda s, w: begin(
        s, an_image(s), "web-download", "cheap", uri=w.url("/image"), os_hash_algo="md5", os_hash_value="0" * 32
    ),
}


@pytest.mark.parametrize("way", GOOD)
def test_an_import_killed_at_any_step_ends_well(
    way: str, service: tuple[ImageService, Database], directory: Path, attempt: Try, web: WebServer
) -> None:
    begun, stores = GOOD[way]
    images, database = service
    number, was_killed = 0, True
    while was_killed:
        number += 1
        image_id = begun(images, web)
        was_killed = attempt("jobs", number)
        _require_readable_if_active(images, directory, image_id)
        assert not attempt("jobs", 0)
        assert images.catalogue.get(image_id).status is Status.ACTIVE
        assert lying(directory, image_id) == {name: [DATA] for name in stores}
        assert {each.store for each in images.catalogue.locations(image_id)} == stores
        (task,) = images.image_tasks.of_image(image_id)
        assert (task.status, task.message) == ("success", "")
        assert "os_glance_import_task" not in images.catalogue.get(image_id).properties
        assert rows(database) == NOTHING
    assert number > FEWEST_STEPS


def _require_readable_if_active(service: ImageService, directory: Path, image_id: str) -> None:
    """Whatever moment it is: what an active image is said to have is there, whole."""
    if service.catalogue.get(image_id).status is Status.ACTIVE:
        found = lying(directory, image_id)
        for location in service.catalogue.locations(image_id):
            assert DATA in found[location.store]


@pytest.mark.parametrize("way", BAD)
def test_an_import_that_fails_and_is_killed_at_any_step_leaves_nothing(
    way: str, service: tuple[ImageService, Database], directory: Path, attempt: Try, web: WebServer
) -> None:
    images, database = service
    number, was_killed = 0, True
    while was_killed:
        number += 1
        image_id = BAD[way](images, web)
        was_killed = attempt("jobs", number)
        assert not attempt("jobs", 0)
        assert images.catalogue.get(image_id).status is Status.QUEUED
        assert lying(directory, image_id) == {}
        (task,) = images.image_tasks.of_image(image_id)
        assert task.status == "failure"
        assert task.message
        assert rows(database) == NOTHING
    assert number > FEWEST_STEPS


def test_a_stage_killed_at_any_step_leaves_all_or_nothing(
    service: tuple[ImageService, Database], directory: Path, attempt: Try
) -> None:
    images, database = service
    number, was_killed = 0, True
    while was_killed:
        number += 1
        image_id = an_image(images)
        was_killed = attempt(image_id, number)
        assert not attempt("jobs", 0)
        if images.catalogue.get(image_id).status is Status.QUEUED:
            assert was_killed
            assert lying(directory, image_id) == {}
            assert rows(database) == NOTHING
        else:
            assert images.catalogue.get(image_id).status is Status.UPLOADING
            assert lying(directory, image_id) == {"fast": [DATA]}
            assert rows(database) == {**NOTHING, "import_objects": 1}
            begin(images, image_id, "glance-direct", "fast")
            assert not attempt("jobs", 0)
            assert images.catalogue.get(image_id).status is Status.ACTIVE
    assert number > FEWEST_STEPS


@pytest.mark.parametrize("way", [*GOOD, *BAD])
def test_an_image_deleted_at_any_step_of_its_import_leaves_nothing(
    way: str, service: tuple[ImageService, Database], directory: Path, web: WebServer
) -> None:
    images, database = service
    number, was_deleted = 0, True
    while was_deleted:
        number += 1
        image_id = GOOD[way][0](images, web) if way in GOOD else BAD[way](images, web)
        was_deleted = False

        def delete(image_id: str = image_id) -> None:
            nonlocal was_deleted
            was_deleted = True
            images.images.delete(ADMIN, image_id)

        with pytest.MonkeyPatch.context() as patched:
            act_at(number, delete, patched.setattr)
            _run_until_done(images, database)
        if not was_deleted:
            images.images.delete(ADMIN, image_id)
        images._leftovers.clear_all()
        assert lying(directory, image_id) == {}
        (task,) = images.image_tasks.of_image(image_id)
        assert task.status in ("success", "failure")
        assert rows(database) == NOTHING
    assert number > FEWEST_STEPS


@pytest.mark.parametrize("way", [*GOOD, *BAD])
def test_an_import_cancelled_at_any_step_leaves_the_image_as_it_was_before(
    way: str, service: tuple[ImageService, Database], directory: Path, web: WebServer
) -> None:
    images, database = service
    number, was_cancelled = 0, True
    while was_cancelled:
        number += 1
        image_id = GOOD[way][0](images, web) if way in GOOD else BAD[way](images, web)
        (task,) = images.image_tasks.of_image(image_id)
        was_cancelled = False

        def cancel(image_id: str = image_id, task_id: str = task.id) -> None:
            nonlocal was_cancelled
            with suppress(TaskOver):
                images.imports.cancel(ADMIN, image_id, task_id)
                was_cancelled = True

        with pytest.MonkeyPatch.context() as patched:
            act_at(number, cancel, patched.setattr)
            _run_until_done(images, database)
        (task,) = images.image_tasks.of_image(image_id)
        if was_cancelled:
            assert task.status == "failure"
            if way in GOOD:
                assert task.message == "cancelled by user root"
            _require_usable_again(images, database, directory, image_id, way, web)
        else:
            assert task.status == ("success" if way in GOOD else "failure")
        assert rows(database) == NOTHING
    assert number > FEWEST_STEPS // 2  # later ones come too late


def _require_usable_again(
    service: ImageService, database: Database, directory: Path, image_id: str, way: str, web: WebServer
) -> None:
    """What was before the import is there, and nothing else; the same import, begun once more, ends as it should."""
    image = service.catalogue.get(image_id)
    before = {"fast": [DATA]} if way == "copied" else {}
    assert image.status is (Status.ACTIVE if before else Status.QUEUED)
    assert lying(directory, image_id) == before
    assert {each.store for each in service.catalogue.locations(image_id)} == set(before)
    assert "os_glance_import_task" not in image.properties
    assert image.properties["os_glance_importing_to_stores"] == ""
    if way not in GOOD:
        return
    if way == "copied":
        begin(service, image_id, "copy-image", "cheap")
    elif way == "from a URL":
        begin(service, image_id, "web-download", *GOOD[way][1], uri=web.url("/image"))
    else:
        bring(service.staging.begin(ADMIN, image_id))
        begin(service, image_id, "glance-direct", *GOOD[way][1])
    run_jobs(service, database)
    assert service.catalogue.get(image_id).status is Status.ACTIVE
    assert lying(directory, image_id) == {name: [DATA] for name in GOOD[way][1]}


def _run_until_done(service: ImageService, database: Database) -> None:
    """Run the job, again where it fails, as its runner does."""
    for _ in range(3):
        with suppress(HeadwaterError):
            run_jobs(service, database)
            return
        database.write(lambda connection: connection.exec_driver_sql("UPDATE jobs SET runner = NULL, run_at = 0"))
    raise AssertionError("the import does not end")
