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
