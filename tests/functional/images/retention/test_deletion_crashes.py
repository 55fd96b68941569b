"""A process that deletes, restores or lets go of an image is killed at each of its steps.

At every moment the image is there, or can be restored, or was let go of; the first two have their data in both stores,
and what was let go of is removed in the end.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import Connection

from functional.killed.deletion import keeping
from functional.killed.imports import ADMIN, DATA, bring, run_jobs
from headwater.database.engine import Database
from headwater.images.assembly.service import ImageService
from headwater.images.catalogue.deletions.pending_deletes import NotPending
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.model import Status
from needs import CHECKOUT
from templates import sqlite_catalogue

PUBLIC = {"tags": ["t"], "visibility": "public"}


class Try(Protocol):
    """Let a process of its own do something, and be killed at a step; return whether it was."""

    def __call__(self, action: str, image_id: str, number: int) -> bool: ...


@pytest.fixture(params=["trash", "feeds"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """That of a service which keeps the data of deleted images for its trash, or for readers of feeds."""
    (tmp_path / request.param).touch()
    sqlite_catalogue(tmp_path / "catalogue.db")
    return tmp_path


@pytest.fixture
def attempt(directory: Path) -> Iterator[Try]:
    command = [sys.executable, "-m", "functional.killed.deletion"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT / "tests", bufsize=1
    ) as process:

        def make(action: str, image_id: str, number: int) -> bool:
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{directory} {action} {image_id} {number}\n")
            answer = process.stdout.readline().strip()
            assert answer in ("killed", "done")
            return answer == "killed"

        yield make
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def service(directory: Path) -> Iterator[tuple[ImageService, Database]]:
    with keeping(directory) as both:
        yield both


def an_image(service: ImageService, database: Database) -> str:
    """Return an image with a copy in each store."""
    image_id = service.images.create(ADMIN, {"disk_format": "raw", "container_format": "bare", **PUBLIC}).id
    bring(service.uploads.begin(ADMIN, image_id))
    service.imports.begin(ADMIN, image_id, {"method": {"name": "copy-image"}, "stores": ["cheap"]})
    run_jobs(service, database)
    return image_id


def lying(directory: Path, image_id: str) -> list[bytes]:
    return [file.read_bytes() for store in ("fast", "cheap") for file in (directory / store).glob(f"*/**/{image_id}.*")]


def where(service: ImageService, image_id: str) -> str:
    """Return whether an image is there, can be restored, or was let go of."""
    try:
        image = service.catalogue.get(image_id)
    except ImageNotFound:
        pass
    else:
        assert (image.status, image.tags) == (Status.ACTIVE, ("t",))
        with pytest.raises(NotPending):
            service._trash.find(image_id)
        return "there"
    try:
        service._trash.find(image_id)
    except NotPending:
        return "let go"
    return "kept"


@pytest.mark.parametrize(
    ("action", "states", "fewest"),
    [
        ("delete", ["there", "kept"], 2),
        ("restore", ["kept", "there"], 2),
        ("empty", ["kept", "let go"], 2),
        ("scrub", ["kept", "let go"], 8),
    ],
)
def test_who_is_killed_at_any_step_loses_nothing_and_leaves_nothing(
    action: str,
    states: list[str],
    fewest: int,
    service: tuple[ImageService, Database],
    directory: Path,
    attempt: Try,
) -> None:
    images, database = service
    number, was_killed, seen = 0, True, []
    while was_killed:
        number += 1
        image_id = an_image(images, database)
        if action != "delete":
            images.images.delete(ADMIN, image_id)
        was_killed = attempt(action, image_id, number)
        state = where(images, image_id)
        seen.append(state)
        if state != "let go":
            assert lying(directory, image_id) == [DATA, DATA]
        if state == "kept" and action != "scrub":
            images._trash.restore(ADMIN, image_id)
            assert where(images, image_id) == "there"
        if state != "let go":
            assert not attempt("delete" if where(images, image_id) == "there" else "scrub", image_id, 0)
        assert not attempt("scrub", image_id, 0)
        assert where(images, image_id) == "let go"
        assert lying(directory, image_id) == []
        assert database.read(_rows) == [0, 0]
    assert number > fewest
    assert seen == sorted(seen, key=states.index)
    assert set(seen) == set(states)


def _rows(connection: Connection) -> list[int]:
    """Return what is left of deletions in the catalogue."""
    tables = ("pending_deletes", "discarded_objects")
    return [connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables]
