from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app
from headwater.streams.signing.signer import Signer
from unit.streams.keys import open_key
from unit.streams.query import feeds


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("feed")
    feeds.write(directory, ids=feeds.image_ids(1), containers=feeds.containers())
    return directory


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["streams", "query", *map(str, words)])


def test_a_table_shows_where_items_stand_and_what_they_are(feed: Path) -> None:
    done = run(feed, "version=24.04", "arch=arm64", "root_store=ssd")
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["product_name", "version_name", "item_name", "region", "id"]
    assert len(lines) == 4
    assert lines[1][-2:] == ["usee1-long", "ami-24.04-arm64-1-usee1-ssd"]


def test_json_and_json_lines_have_the_same_rows(feed: Path) -> None:
    one = json.loads(run(feed, "--json").stdout)
    other = [json.loads(line) for line in run(feed, "--output", "jsonl").stdout.splitlines()]
    assert one == other == json.loads(run(feed, "--output", "json").stdout)
    assert len(one) == 36 + 18


def test_csv_has_a_column_for_every_key(feed: Path) -> None:
    table = list(csv.DictReader(run(feed, "--output", "csv").stdout.splitlines()))
    rows = json.loads(run(feed, "--json").stdout)
    keys = {key for row in rows for key in row}
    assert table == [{key: row.get(key, "") for key in keys} for row in rows]


def test_fields_are_shown_in_their_order(feed: Path) -> None:
    done = run(feed, "--output", "csv", "--fields", "id,arch,absent", "item_name=usee1s", "version=9.10")
    assert done.stdout.splitlines() == [
        "id,arch,absent",
        "ami-9.10-amd64-1-usee1-ssd,amd64,",
        "ami-9.10-arm64-1-usee1-ssd,arm64,",
    ]


def test_a_format_string_makes_a_line_of_each_row(feed: Path) -> None:
    done = run(feed, "item_name=usee1s", "version=9.10", "-o", "%(arch)-6s|%(arch)6s|%(absent)s|100%%")
    assert done.stdout.splitlines() == ["amd64 | amd64||100%", "arm64 | arm64||100%"]


@pytest.mark.parametrize("text", ["%", "%(a)d", "100%", "%(a", "%s", "%(a)1000s", "%()s"])
def test_a_format_string_that_is_none_is_told(feed: Path, text: str) -> None:
    done = run(feed, "--format-string", text)
    assert done.exit_code != 0
    assert "format string" in str(done.exception)


def test_nothing_that_passes_is_an_empty_answer(feed: Path) -> None:
    assert run(feed, "arch=none", "--json").stdout == "[]\n"
    assert run(feed, "arch=none", "--output", "jsonl").stdout == ""
    assert run(feed, "arch=none", "-o", "%(id)s").stdout == ""
    assert run(feed, "arch=none").exit_code == 0


def test_the_newest_versions_are_shown(tmp_path: Path) -> None:
    index = feeds.write(tmp_path, boot=feeds.boot_files())
    assert run(index, "--latest", "-o", "%(version_name)s").stdout.splitlines() == ["20250101.1"]
    assert run(index, "--max", "1", "label!=stable", "-o", "%(version_name)s").stdout.splitlines() == ["20250101"]
    assert run(tmp_path, "--path", "streams/v1/boot.json", "-o", "%(krel)s").stdout.splitlines() == ["", "1.5"]


def test_nothing_is_shown_before_all_is_read(feed: Path, tmp_path: Path) -> None:
    feeds.write(tmp_path, a=feeds.image_ids(1), b=feeds.containers())
    (tmp_path / "streams/v1/b.json").write_text("<html>")
    for form in (["--json"], ["--output", "jsonl"], ["--output", "csv"], [], ["-o", "%(id)s"]):
        done = run(tmp_path, *form)
        assert done.exit_code != 0
        assert done.stdout == ""
        assert "b.json: top: it is not JSON" in str(done.exception)


def test_half_of_a_character_does_not_end_the_answer(tmp_path: Path) -> None:
    feeds.write(tmp_path, a={**feeds.boot_files(), "creator": "\ud800"})
    assert {row["creator"] for row in json.loads(run(tmp_path, "--json").stdout)} == {"\ufffd"}
    assert run(tmp_path, "-o", "%(creator)s").stdout.splitlines() == ["\ufffd"] * 2
    assert run(tmp_path, "--output", "csv", "--fields", "creator").stdout.splitlines() == [
        "creator",
        "\ufffd",
        "\ufffd",
    ]


@pytest.mark.parametrize(
    "words",
    [("--json", "--output", "csv"), ("--json", "-o", "x"), ("--latest", "--max", "2"), ("-U", "--keyring", "k")],
)
def test_options_that_say_different_things_are_refused(feed: Path, words: tuple[str, ...]) -> None:
    done = run(feed, *words)
    assert done.exit_code != 0
    assert "choose one of them" in str(done.exception)


def test_a_signed_feed_is_verified_unless_that_is_switched_off(tmp_path: Path) -> None:
    key = open_key()
    signed = sign(tmp_path, key.signer)
    keyring = tmp_path / "keyring.gpg"
    keyring.write_bytes(bytes(key.certificate))
    assert run(signed, "--keyring", keyring, "-o", "%(krel)s").stdout.splitlines() == ["", "1.5"]
    assert run(signed, "--no-verify", "-o", "%(krel)s").stdout.splitlines() == ["", "1.5"]
    assert "--keyring" in str(run(signed).exception)


def sign(directory: Path, signer: Signer) -> Path:
    index = feeds.write(directory, boot=feeds.boot_files())
    for file in (index, index.with_name("boot.json")):
        text = file.read_bytes().replace(b".json", b".sjson") if file == index else file.read_bytes()
        file.with_suffix(".sjson").write_bytes(signer.sign(text))
        file.unlink()
    return directory
