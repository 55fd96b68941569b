from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from contracts.unheard import UnheardImages
from headwater.cli.main import app
from headwater.database.engine import Database
from headwater.images.model import Image
from templates import sqlite_catalogue
from unit.streams.catalogue import image
from unit.streams.lint.feeds import PRODUCT, PRODUCTS, image_ids, written

OLD, NEW = image(1), image(2)
WRONG = image(3, name="wrong", os_distro=None, os_version="noble", os_hidden=True)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    database = Database(sqlite_catalogue(directory / "headwater.db"))
    for each in (OLD, NEW, WRONG):
        UnheardImages(database).create(each, fresh_id=True)
    database.close()
    return directory


def explain(data_dir: Path, wanted: str | Image, *words: str) -> Result:
    wanted = wanted if isinstance(wanted, str) else wanted.id
    return CliRunner().invoke(app, ["--data-dir", str(data_dir), "streams", "explain", wanted, *words])


def test_an_image_that_is_listed_is_told_where(data_dir: Path) -> None:
    told = explain(data_dir, NEW).stdout
    assert "image-ids (Juju and the other readers of image ids): listed" in told
    assert "com.ubuntu.cloud:server:24.04:amd64" in told
    assert "the one that Juju takes" in told
    assert f"older than {NEW.id}" in explain(data_dir, OLD).stdout


def test_each_property_that_keeps_an_image_out_is_told_with_its_value_and_the_fix(data_dir: Path) -> None:
    told = explain(data_dir, "wrong").stdout
    assert "image-ids (Juju and the other readers of image ids): not listed" in told
    assert "  os_distro (not set): os_distro is not set to the name of a distribution, such as ubuntu" in told
    assert "  os_version (noble): " in told
    assert f"    fix: openstack image set --unhidden {WRONG.id}" in told
    feeds = json.loads(explain(data_dir, "wrong", "--json").stdout)["feeds"]
    assert [(each["feed"], each["listed"], each["product"]) for each in feeds] == [
        ("image-ids", False, None),
        ("image-files", False, None),
    ]
    wrong = [("os_hidden", "True"), ("os_distro", None), ("os_version", "noble")]
    for feed, more in zip(feeds, ([], [("os_hash_value", None)]), strict=True):
        assert [(each["property"], each["value"]) for each in feed["obstacles"]] == wrong + more


def test_an_image_that_is_not_there_is_an_error(data_dir: Path) -> None:
    assert explain(data_dir, "nothing").exit_code != 0


def test_an_image_in_a_tree_is_told_for_each_consumer(tmp_path: Path) -> None:
    written(tmp_path / "right", image_ids())
    wrong = image_ids()
    wrong[PRODUCTS]["products"][PRODUCT]["version"] = 24.04
    written(tmp_path / "wrong", wrong)
    told = in_trees("image-1", tmp_path / "right")
    assert told.exit_code == 0
    assert f"  product {PRODUCT}, version 20260101, items a" in told.stdout
    assert "  juju-3.6: sees it" in told.stdout
    assert "  incus-7: does not look at images of this kind" in told.stdout
    both = in_trees("image-1", tmp_path / "right", tmp_path / "wrong/streams/v1/index.json", "--json")
    assert both.exit_code == 1
    [right, lost] = json.loads(both.stdout)["trees"]
    assert [each["tree"] for each in (right, lost)] == [str(tmp_path / "right"), str(tmp_path / "wrong")]
    [juju] = [each for each in lost["found"][0]["consumers"] if each["consumer"] == "juju-3.6"]
    assert (juju["sees"], juju["findings"][0]["path"]) == (False, f'products["{PRODUCT}"].version')


def test_an_image_that_no_tree_has_is_told_with_what_may_hide_it(tmp_path: Path) -> None:
    written(tmp_path, {**image_ids(), PRODUCTS: b"<html>a login</html>"})
    told = in_trees("image-1", tmp_path)
    assert told.exit_code == 1
    assert f"{tmp_path}: image-1 is not in it" in told.stdout
    assert f"{PRODUCTS}: it is a page of HTML" in told.stdout


def test_options_of_trees_want_a_tree(data_dir: Path) -> None:
    assert "--tree" in str(explain(data_dir, NEW, "--consumer", "incus").exception)


def in_trees(image: str, *words: str | Path) -> Result:
    trees = [each for word in words for each in (["--tree", str(word)] if isinstance(word, Path) else [word])]
    return CliRunner().invoke(app, ["streams", "explain", image, *trees])
