"""Juju's validations, word for word: what is given, what is said, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from headwater.cli.main import main
from unit.streams.lookup.feeds import AGENTS, IMAGES, INDEX2, KEYSTONE, agent_index, agents, images, index

CLOUD = ("-r", "RegionOne", "-u", KEYSTONE)
JAMMY = ("--base", "ubuntu@22.04")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    files = {
        "images": {INDEX2: index(), IMAGES: images()},
        "tools": {INDEX2: agent_index(), AGENTS: agents()},
    }
    for below, feed in files.items():
        for path, body in feed.items():
            file = tmp_path / below / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(body))
    return tmp_path


def streams(*words: str | Path) -> object:
    """Run a command, and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["streams", *map(str, words)])
    return ended.value.code or 0  # nothing is 0 too


@pytest.mark.parametrize(
    "words",
    [JAMMY, ("-s", "jammy"), ("--series", "jammy"), ("-p", "openstack", *JAMMY), ("--base", "ubuntu@22.04/edge")],
)
def test_images_are_told_in_yaml(directory: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert streams("validate-images", *words, *CLOUD, "-d", directory) == 0
    assert capsys.readouterr().out == (
        "ImageIds:\n- an-id\nRegion: RegionOne\nResolve Metadata:\n  source: local metadata directory\n"
        f"  signed: false\n  indexURL: file://{directory}/images/{INDEX2}\n"
    )


@pytest.mark.parametrize("words", [("--format", "json"), ("--json",)])
def test_images_are_told_in_json(directory: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert streams("validate-images", *JAMMY, *CLOUD, "-d", directory, *words) == 0
    assert capsys.readouterr().out == (
        '{"ImageIds":["an-id"],"Region":"RegionOne","Resolve Metadata":{"source":"local metadata directory",'
        f'"signed":false,"indexURL":"file://{directory}/images/{INDEX2}"}}}}\n'
    )


def test_the_answer_goes_to_a_file(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = directory / "answer"
    assert streams("validate-images", *JAMMY, *CLOUD, "-d", directory, "-o", to) == 0
    assert (yaml.safe_load(to.read_text())["ImageIds"], capsys.readouterr().out) == (["an-id"], "")


def test_a_relative_directory_works(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory.parent)
    assert streams("validate-images", *JAMMY, *CLOUD, "-d", directory.name) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-s", "jammy", *JAMMY), "--series and --base cannot be specified together"),
        (("-p", "openstack", *CLOUD, "-d", "DIR"), "base required if provider type is specified"),
        (("-p", "openstack", *CLOUD, "-d", "DIR", "--juju", "2.9"), "series required if provider type is specified"),
        (("-p", "openstack", *JAMMY, "-d", "DIR"), "region required if provider type is specified"),
        (("-p", "openstack", *JAMMY, *CLOUD), "metadata directory required if provider type is specified"),
        ((*JAMMY, *CLOUD, "-d", "DIR", "-c", "mine"), "there is none here"),
    ],
)
def test_a_wrong_use_of_validate_images_ends_with_2(
    directory: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert streams("validate-images", *(directory if word == "DIR" else word for word in words)) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-p", "foo", *JAMMY, *CLOUD), 'no registered provider for "foo"'),
        (("-p", "lxd", *JAMMY, *CLOUD), "lxd provider does not support image metadata validation"),
        (("-s", "foo", *CLOUD), 'attempting to convert "foo" to a base: series "foo" not valid'),
        (("--base", "22.04", *CLOUD), "expected base string to contain os and channel separated by '@'"),
        (CLOUD, "required parameter series not specified"),
        ((*JAMMY, "-u", KEYSTONE), "required parameter region not specified"),
        ((*JAMMY, "-r", "RegionOne", "-p", "openstack"), "required parameter endpoint not specified"),
        (("--base", "ubuntu@24.04", *CLOUD), "no matching images found for constraint &{LookupParams:{CloudSpec:"),
        (
            (*JAMMY, "-r", "Two", "-u", KEYSTONE),
            f"index file has no data for cloud {{Two {KEYSTONE}}} not found\nResolve",
        ),
        ((*JAMMY, "-r", "regionone", "-u", KEYSTONE), "no matching images found for constraint"),
    ],
)
def test_what_validate_images_does_not_find_ends_with_1(
    directory: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert streams("validate-images", *words, "-d", directory) == 1
    assert said in capsys.readouterr().err


def test_where_a_search_ended_follows_what_it_says(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "images" / INDEX2).unlink()
    assert streams("validate-images", *JAMMY, *CLOUD, "-d", directory) == 1
    index_url = f"file://{directory}/images/streams/v1/index.json"
    assert capsys.readouterr().err == (
        f'headwater: "{index_url}" not found\nResolve Metadata:\n  source: local metadata directory\n  signed: false\n'
        f"  indexURL: {index_url}\n"
    )


def test_a_missing_directory_is_told_as_juju_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert streams("validate-images", *JAMMY, *CLOUD, "-d", tmp_path) == 1
    assert f"stat {tmp_path}/images: no such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("juju", "key"),
    [
        ("2.9", "Matching Tools Versions"),
        ("3.6", "Matching Tools Versions"),
        ("4", "Matching Agent Binary Versions"),
    ],
)
@pytest.mark.parametrize("version", [("-j", "3.6.27"), ("--juju-version", "3.6.27"), ("--majorminor-version", "3.6")])
def test_agents_are_told_in_yaml(
    directory: Path, capsys: pytest.CaptureFixture[str], juju: str, key: str, version: tuple[str, str]
) -> None:
    assert streams("validate-agents", "-t", "ubuntu", *version, "-d", directory, "--juju", juju) == 0
    assert capsys.readouterr().out == (
        f"{key}:\n- 3.6.27-ubuntu-amd64\nResolve Metadata:\n  source: local source\n  signed: false\n"
        f"  indexURL: file://{directory}/tools/{INDEX2}\n"
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-j", "3.6.28", "-t", "ubuntu"), 1, "no matching agent binaries found for constraint"),
        (("-j", "3.6.27"), 1, "no matching agent binaries found for constraint"),
        (("-j", "3.6.27", "-t", "ubuntu", "--stream", "devel"), 1, '"content-download" data not found'),
        (("-j", "three", "-t", "ubuntu"), 1, 'invalid version "three"'),
        (("--majorminor-version", "x", "-t", "ubuntu"), 1, 'invalid major.minor version number "x"'),
        (("-t", "ubuntu"), 2, "name the version"),
        (("-j", "current", "-t", "ubuntu"), 2, "name the version"),
        (("-p", "openstack", "-j", "3.6.27"), 2, "region required if provider type is specified"),
        (("-p", "foo", "-r", "RegionOne", "-j", "3.6.27"), 1, 'no registered provider for "foo"'),
    ],
)
def test_what_validate_agents_does_not_find(
    directory: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    assert streams("validate-agents", *words, "-d", directory) == code
    assert said in capsys.readouterr().err


def test_agents_need_an_absolute_directory(capsys: pytest.CaptureFixture[str]) -> None:
    assert streams("validate-agents", "-t", "ubuntu", "-j", "3.6.27", "-d", "here") == 1
    assert "here is not an absolute path" in capsys.readouterr().err
