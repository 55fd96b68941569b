from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app
from headwater.streams.signing.certificates import certificates
from unit.streams.keys import open_key

WHERE = ("--region", "RegionOne", "--endpoint", "https://keystone.example:5000/v3", "--version", "24.04")


def streams(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["streams", *map(str, words)])


def test_an_image_is_added_listed_and_removed(tmp_path: Path) -> None:
    added = streams("add-image", tmp_path, "an-id", *WHERE, "--json")
    assert (added.exit_code, json.loads(added.stdout)["product"]) == (0, "com.ubuntu.cloud:server:24.04:amd64")
    assert "an-id" in streams("list", tmp_path).stdout
    [listed] = json.loads(streams("list", tmp_path, "--json").stdout)
    assert (listed["id"], listed["region"], listed["content_id"]) == ("an-id", "RegionOne", "com.ubuntu.cloud:custom")
    assert "is gone from" in streams("remove", tmp_path, "an-id").stdout
    assert "is not in it" in streams("remove", tmp_path, "an-id").stdout
    assert json.loads(streams("list", tmp_path, "--json").stdout) == []


def test_old_versions_go_when_it_is_meant(tmp_path: Path) -> None:
    for day in ("20260101", "20260102", "20260103"):
        streams("add-image", tmp_path, f"image-{day}", *WHERE, "--version-name", day)
    would = streams("prune", tmp_path, "--keep", "2", "--dry-run", "--json")
    assert json.loads(would.stdout) == {
        "removed": [{"product": "com.ubuntu.cloud:server:24.04:amd64", "version": "20260101"}],
        "deleted": [],
    }
    assert len(json.loads(streams("list", tmp_path, "--json").stdout)) == 3
    assert "20260101 went" in streams("prune", tmp_path, "--keep", "2").stdout
    assert len(json.loads(streams("list", tmp_path, "--json").stdout)) == 2


def test_a_key_signs_all_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = open_key()
    file = tmp_path / "key.asc"
    file.write_bytes(key.armor)
    assert certificates(file)
    feed = tmp_path / "feed"
    assert streams("add-image", feed, "an-id", *WHERE, "--key", file).exit_code == 0
    assert {path.name for path in feed.glob("streams/v1/*.sjson")} == {
        "index.sjson",
        "index2.sjson",
        "mirrors.sjson",
        "com.ubuntu.cloud-released-imagemetadata.sjson",
    }
    refused = streams("add-image", feed, "another", *WHERE)
    assert (refused.exit_code, type(refused.exception).__name__) == (1, "FeedSigned")
    monkeypatch.setenv("HEADWATER_SIGNING_KEY_PASSWORD", "wrong")
    assert type(streams("add-image", feed, "another", *WHERE, "--key", file).exception).__name__ == "SigningKeyUnusable"


@pytest.mark.parametrize("words", [("add-image",), ("list", "ftp://x"), ("prune", ".", "--keep", "0")])
def test_wrong_use_is_told(words: tuple[str, ...]) -> None:
    result = streams(*words)
    assert result.exit_code != 0


def test_an_image_that_takes_the_place_of_another_says_so(tmp_path: Path) -> None:
    for image in ("one", "one"):
        assert "in place of" not in streams("add-image", tmp_path, image, *WHERE).stdout
    told = streams("add-image", tmp_path, "two", *WHERE)
    assert "in place of one, which Juju cannot tell from it" in told.stdout
    assert json.loads(streams("add-image", tmp_path, "three", *WHERE, "--json").stdout)["replaced"] == ["two"]
    assert "in place of" not in streams("add-image", tmp_path, "four", *WHERE, "--virt", "kvm").stdout


def test_a_version_by_its_code_name_is_refused_with_its_number(tmp_path: Path) -> None:
    where = ("--region", "R", "--endpoint", "http://keystone/v3", "--version", "noble")
    refused = streams("add-image", tmp_path, "one", *where)
    assert "by its number: 24.04, not noble" in str(refused.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_list_names_the_index_that_it_does_not_follow(tmp_path: Path) -> None:
    (tmp_path / "streams/v1").mkdir(parents=True)
    entry = {"path": "streams/v1/more.json", "format": "index:1.0"}
    (tmp_path / "streams/v1/index.json").write_text(json.dumps({"format": "index:1.0", "index": {"more": entry}}))
    listed = streams("list", tmp_path, "--json")
    assert json.loads(listed.stdout) == []
    assert "more leads to another index, streams/v1/more.json" in listed.stderr
