"""A process that hashes public images is killed at each of its steps, and the next one does what is left to do."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from functional.killed.imports import ADMIN, DATA, bring, opened
from headwater.database.engine import Database
from headwater.images.assembly.service import ImageService
from headwater.images.catalogue.fingerprints.image_fingerprints import FingerprintRows
from needs import CHECKOUT
from templates import sqlite_catalogue

Try = Callable[[int], bool]  # lets a process hash, and be killed at a step; returns whether it was


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    sqlite_catalogue(tmp_path / "catalogue.db")
    return tmp_path


@pytest.fixture
def attempt(directory: Path) -> Iterator[Try]:
    command = [sys.executable, "-m", "functional.killed.hashing"]
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


def an_image(service: ImageService) -> str:
    about = {"disk_format": "raw", "container_format": "bare", "visibility": "public"}
    image_id = service.images.create(ADMIN, about).id
    bring(service.uploads.begin(ADMIN, image_id))
    return image_id


def rows(database: Database) -> list[int]:
    def counts(connection: Connection) -> list[int]:
        names = ("jobs", "image_fingerprints")
        return [connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in names]

    return database.read(counts)


def test_whoever_is_killed_at_any_step_the_next_one_hashes_what_is_left(directory: Path, attempt: Try) -> None:
    with opened(directory) as (service, database):
        made: list[str] = []
        number, was_killed = 0, True
        while was_killed:
            number += 1
            made += [an_image(service), an_image(service)]
            was_killed = attempt(number)
            known = FingerprintRows(database).of(made)
            assert len(known) >= len(made) - 2
            assert {found.sha256 for found in known.values()} <= {hashlib.sha256(DATA).hexdigest()}
            assert not attempt(0)
            assert FingerprintRows(database).of(made).keys() == set(made)
            assert rows(database) == [1, len(made)]
        assert number > 4
        made.append(an_image(service))
        assert attempt(-1)
        assert rows(database) == [1, len(made) - 1]
        assert not attempt(0)
        assert FingerprintRows(database).of(made).keys() == set(made)
