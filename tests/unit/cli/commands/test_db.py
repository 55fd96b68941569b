from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from contracts.image_catalogue import add, an_image, anything
from contracts.unheard import UnheardImages
from headwater.cli.main import app
from headwater.clock import now
from headwater.database.engine import Database
from headwater.images.catalogue.images import ImageExists
from templates import sqlite_catalogue

DAY = 86_400_000_000


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def catalogue(data_dir: Path) -> Iterator[UnheardImages]:
    database = Database(sqlite_catalogue(data_dir / "headwater.db"))
    yield UnheardImages(database)
    database.close()


def run(data_dir: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["--data-dir", str(data_dir), "db", *words])


def deleted(catalogue: UnheardImages, days_ago: int) -> str:
    image = an_image()
    add(catalogue, image)
    catalogue.delete(image.id, anything, now() - days_ago * DAY)
    return image.id


def test_a_purge_forgets_what_was_deleted_long_ago(data_dir: Path, catalogue: UnheardImages) -> None:
    _, _, young = deleted(catalogue, 40), deleted(catalogue, 31), deleted(catalogue, 29)
    purged = run(data_dir, "purge")
    assert (purged.exit_code, purged.stdout) == (0, "purged 2 deleted images\n")
    assert [image.id for image, _ in catalogue.deleted(since=0, limit=10)] == [young]
    assert json.loads(run(data_dir, "purge", "--age-in-days", "20", "--json").stdout) == {"purged": 1}
    assert run(data_dir, "purge", "--age-in-days", "0").stdout == "purged 0 deleted images\n"


def test_a_purge_stops_after_as_many_as_it_was_told(data_dir: Path, catalogue: UnheardImages) -> None:
    _, middle, young = deleted(catalogue, 50), deleted(catalogue, 40), deleted(catalogue, 35)
    assert run(data_dir, "purge", "--max-rows", "1").stdout == "purged 1 deleted image\n"
    assert [image.id for image, _ in catalogue.deleted(since=0, limit=10)] == [middle, young]


def test_the_id_of_a_purged_image_is_never_used_again(data_dir: Path, catalogue: UnheardImages) -> None:
    image_id = deleted(catalogue, 1000)
    assert run(data_dir, "purge").stdout == "purged 1 deleted image\n"
    with pytest.raises(ImageExists):
        catalogue.create(an_image(id=image_id), fresh_id=False)


def test_nothing_is_purged_from_a_catalogue_that_is_not_up_to_date(data_dir: Path) -> None:
    refused = run(data_dir, "purge")
    assert refused.exit_code != 0
    assert "headwater db upgrade" in str(refused.exception)
