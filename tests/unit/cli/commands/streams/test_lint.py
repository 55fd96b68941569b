from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app
from unit.streams.lint.feeds import PRODUCTS, Documents, image_files, image_ids, written


def lint(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["streams", "lint", *map(str, words)])


def broken() -> Documents:
    feed = image_files()
    next(iter(feed[PRODUCTS]["products"].values()))["arch"] = "vax"
    return feed


def test_the_consumers_and_what_they_see_are_a_table_and_findings_follow(tmp_path: Path) -> None:
    written(tmp_path, broken())
    done = lint(tmp_path)
    assert done.exit_code == 1
    [row] = [line.split() for line in done.stdout.splitlines() if line.startswith("incus-7")]
    assert row == ["incus-7", "0", "2", "images-arch"]
    assert "error images-arch [lxd-5]" in done.stdout
    assert "error images-arch [incus-6, incus-7]" in done.stdout
    assert '  streams/v1/products.json: products["testos:noble:amd64:default"].arch: Incus does not know' in done.stdout
    assert "  fix: use a name that it knows" in done.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 0),
        (("--level", "warning"), 0),
        (("--level", "note"), 1),
        (("--consumer", "juju"), 0),
        (("--consumer", "maas"), 1),
        (("--consumer", "docker"), 2),
        (("--level", "loud"), 2),
        (("--format", "xml"), 2),
    ],
)
def test_the_exit_code_follows_from_the_level(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    written(tmp_path, image_ids())
    done = lint(tmp_path, *words)
    assert (done.exit_code if done.exception is None or isinstance(done.exception, SystemExit) else 2) == code


def test_json_has_verdicts_and_every_finding(tmp_path: Path) -> None:
    written(tmp_path, broken())
    for words in (("--json",), ("--format", "json")):
        report = json.loads(lint(tmp_path, "--consumer", "lxd-5", *words).stdout)
        [verdict] = report["consumers"]
        assert (verdict["images_seen"], verdict["images_missed"]) == (0, 2)
        assert verdict["does_not_see"] == [
            {
                "file": PRODUCTS,
                "product": "testos:noble:amd64:default",
                "version": "20260101_0000",
                "images": 2,
                "rule": "images-arch",
            }
        ]
        [finding] = [each for each in report["findings"] if each["level"] == "error"]
        assert finding["path"] == 'products["testos:noble:amd64:default"].arch'
        assert finding["consumers"] == ["lxd-5"]
        assert finding.keys() >= {"rule", "reach", "file", "message", "fix", "source"}


def test_sarif_points_to_rules_and_places(tmp_path: Path) -> None:
    written(tmp_path, broken())
    log = json.loads(lint(tmp_path, "--format", "sarif").stdout)
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    errors = [each for each in run["results"] if each["level"] == "error"]
    assert errors
    for each in errors:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"] == "images-arch"
        assert each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == PRODUCTS


@pytest.mark.parametrize(
    "ending", ["", "/", "/streams/v1", "/streams/v1/", "/streams/v1/index.json", "/streams/v1/index.sjson"]
)
def test_the_address_of_an_index_names_its_tree(tmp_path: Path, ending: str) -> None:
    written(tmp_path, image_ids())
    assert json.loads(lint(f"{tmp_path}{ending}", "--json").stdout)["consumers"][0]["images_seen"] == 1


def test_an_empty_directory_has_no_index(tmp_path: Path) -> None:
    done = lint(tmp_path)
    assert done.exit_code == 1
    assert "error index-missing" in done.stdout
