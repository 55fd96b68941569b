"""A run of retention that is killed at each of its steps loses nothing that it keeps, and the next one finishes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, TextClause, text

from functional.killed.imports import ADMIN, DATA, bring
from functional.killed.retention import retiring
from headwater.clock import now
from headwater.database.engine import Database
from headwater.images.assembly.service import ImageService
from headwater.images.catalogue.retention.uses import ImageUseRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.model import Image, Status
from headwater.images.retention.rules import Step
from needs import CHECKOUT
from templates import sqlite_catalogue

DAY = 86_400_000_000
AGES = (0, 40, 50, 60)  # days; the last two are deleted: nobody used them in the 30 days since a newer one came


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    sqlite_catalogue(tmp_path / "catalogue.db")
    return tmp_path


@pytest.fixture
def attempt(directory: Path) -> Iterator[Callable[[int], bool]]:
    """Let a process of its own retire images, and be killed at a step; return whether it was."""
    command = [sys.executable, "-m", "functional.killed.retention"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT / "tests", bufsize=1
    ) as process:

        def make(number: int) -> bool:
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{directory} {number}\n")
            answer = process.stdout.readline().strip()
            assert answer in ("killed", "done")
            return answer == "killed"

        yield make
        assert process.stdin
        process.stdin.close()


@pytest.fixture
def service(directory: Path) -> Iterator[tuple[ImageService, Database]]:
    with retiring(directory) as (service, database):
        ImageUseRows(database).going_on(now())
        long_noted = text("UPDATE catalogue_revisions SET revision = 0 WHERE scope = 'uses since'")
        database.write(partial(_done, long_noted))
        yield service, database


def _done(statement: TextClause, connection: Connection) -> None:
    connection.execute(statement)


def a_family(service: ImageService, database: Database, name: str) -> list[str]:
    """Return the ids of images of one name, newest first."""
    made = []
    for days in AGES:
        image = service.images.create(ADMIN, {"name": name, "disk_format": "raw", "container_format": "bare"})
        bring(service.uploads.begin(ADMIN, image.id))
        aged = text("UPDATE images SET created_at = created_at - :age WHERE id = :id")
        database.write(partial(_done, aged.bindparams(age=days * DAY, id=image.id)))
        made.append(image.id)
    return made


def found(service: ImageService, image_id: str) -> Image | None:
    try:
        return service.catalogue.get(image_id)
    except ImageNotFound:
        return None


def lying(directory: Path, image_id: str) -> list[bytes]:
    return [file.read_bytes() for file in directory.glob(f"*/objects/*/{image_id}.*")]


def test_a_run_that_is_killed_at_any_step_loses_nothing_that_is_kept_and_the_next_one_finishes(
    service: tuple[ImageService, Database], directory: Path, attempt: Callable[[int], bool]
) -> None:
    images, database = service
    number, was_killed = 0, True
    while was_killed:
        number += 1
        name = f"Ubuntu {number}.04"
        ids = a_family(images, database, name)
        plan = {each.image.id: each for each in images.retention.plan() if each.image.id in ids}
        assert [Step.DELETE in plan[each].steps for each in ids] == [False, False, True, True]
        before = {each: found(images, each) for each in ids}
        was_killed = attempt(number)

        for image_id in ids:
            image, verdict = found(images, image_id), plan[image_id]
            if image is None:
                assert Step.DELETE in verdict.steps
                continue
            assert (image.status, lying(directory, image_id)) == (Status.ACTIVE, [DATA])
            if image != before[image_id]:  # then all of it was done
                assert (image.name, image.os_hidden) == (verdict.new_name, True)

        assert not attempt(0)
        kept = [found(images, each) for each in ids]
        assert [each and (each.name == name, each.os_hidden) for each in kept] == [
            (True, False),
            (False, True),
            None,
            None,
        ]
        assert [lying(directory, each) for each in ids] == [[DATA], [DATA], [], []]
        assert not any(each.steps for each in images.retention.plan())
    assert number > 8
