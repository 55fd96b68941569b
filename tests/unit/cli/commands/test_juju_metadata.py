"""Juju's own commands: what they write, and their words and exit codes."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from headwater.cli.main import app
from headwater.streams.trees.directory import DirectoryTree
from unit.streams.juju_lookup import Source, Wanted, find
from unit.streams.writing.trees import fetch_from

KEYSTONE = "https://keystone.example:5000/v3"
IMAGE = ("-i", "an-id", "-r", "RegionOne", "-u", KEYSTONE)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def juju(*words: str) -> Result:
    return CliRunner().invoke(app, ["juju-metadata", *words])


def found(directory: Path, version: str = "24.04", region: str = "RegionOne", **more: Any) -> list[str]:
    wanted = Wanted(
        region, more.get("endpoint", KEYSTONE), [version], [more.get("arch", "amd64")], more.get("stream", "")
    )
    return find(Source(fetch_from(DirectoryTree(directory / "images"))), wanted).ids


@pytest.mark.parametrize(
    "given",
    [["--debug"], ["--verbose", "--show-log"], ["--quiet", "-B"], ["--logging-config", "<root>=DEBUG"]],
    ids=lambda given: given[0],
)
def test_what_all_commands_of_juju_take_changes_nothing(tmp_path: Path, given: list[str]) -> None:
    assert juju(*given, "generate-image", *IMAGE).exit_code == 0
    assert juju("generate-image", *given, *IMAGE, "--logging-config=juju=TRACE").exit_code == 0
    assert found(tmp_path) == ["an-id"]
    assert juju("delete-image", "--", given[0]).exit_code == 0


def test_an_image_is_written_where_juju_looks_for_it(tmp_path: Path) -> None:
    done = juju("generate-image", *IMAGE)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == [
        "Image metadata files have been written to:",
        f"{tmp_path}/images/streams/v1.",
    ]
    assert "--metadata-source" in done.stdout
    assert "image-metadata-url" in done.stdout
    assert found(tmp_path) == ["an-id"]
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("images/streams/v1/*.json")}
    assert files == dict.fromkeys(
        ("index.json", "index2.json", "mirrors.json", "com.ubuntu.cloud-released-imagemetadata.json"), 0o644
    )


# Source of each row: what a second run of Juju's command does, and what it should have done.
@pytest.mark.parametrize(
    ("second", "kept", "new"),
    [
        (("--base", "ubuntu@22.04"), ["an-id"], {"version": "22.04"}),
        (("-s", "jammy"), ["an-id"], {"version": "22.04"}),
        (("-a", "arm64"), ["an-id"], {"arch": "arm64"}),
        (("-r", "RegionTwo"), ["an-id"], {"region": "RegionTwo"}),
        (("--stream", "daily"), ["an-id"], {"stream": "daily"}),
        (("--virt-type", "kvm"), ["an-id", "other"], {}),
        (("--storage", "ssd"), ["an-id", "other"], {}),
        ((), ["other"], {}),
        (("-u", "https://other.example/v3"), ["other"], {"endpoint": "https://other.example/v3"}),
    ],
)
def test_a_second_run_adds_or_replaces_and_loses_nothing(
    tmp_path: Path, second: tuple[str, ...], kept: list[str], new: dict[str, str]
) -> None:
    juju("generate-image", *IMAGE)
    again = (
        juju("generate-image", *IMAGE, "-i", "other", *second)
        if "-u" not in second
        else juju("generate-image", "-i", "other", "-r", "RegionOne", *second)
    )
    assert again.exit_code == 0, again.output
    asked = {name: value for name, value in new.items() if name != "endpoint"}
    assert "other" in found(tmp_path, **{**asked, **new})
    if "endpoint" not in new:
        assert found(tmp_path) == kept
    juju("generate-image", *IMAGE, "--base", "ubuntu@20.04")
    assert "other" in found(tmp_path, **{**asked, **new})


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (("-s", "noble", "--base", "ubuntu@24.04"), "cannot specify both base and series (series is deprecated)", 2),
        (("-s", "foo", *IMAGE), 'attempting to convert "foo" to a base: series "foo" not valid', 1),
        (("--base", "noble", *IMAGE), "expected base string to contain os and channel separated by '@'", 1),
        ((), "image id must be specified", 1),
        (("-i", "x"), "image region must be specified", 1),
        (("-i", "x", "-r", "R"), "cloud endpoint URL must be specified", 1),
        ((*IMAGE, "-d", "nowhere"), "stat {}/nowhere: no such file or directory", 1),
        ((*IMAGE, "-d", "file"), "specified source path is not a directory: {}/file", 1),
        ((*IMAGE, "-d", "broken"), "image metadata files could not be created: ", 1),
        ((*IMAGE, "-c", "mine"), "--controller mine: no controller is asked", 2),
    ],
)
def test_what_goes_wrong_is_said_as_juju_says_it(
    tmp_path: Path, words: tuple[str, ...], message: str, code: int
) -> None:
    (tmp_path / "file").touch()
    broken = tmp_path / "broken/images/streams/v1"
    broken.mkdir(parents=True)
    (broken / "index.json").write_text("<html>")
    done = juju("generate-image", *words)
    assert done.exit_code == code
    assert f"ERROR {message.format(tmp_path)}" in done.stderr
    told = juju("generate-image", *words, "--json")
    assert told.exit_code == code
    assert message.format(tmp_path).removeprefix("image metadata files could not be created: ") in told.stderr.replace(
        '\\"', '"'
    )


def test_a_directory_of_agents_is_described(tmp_path: Path) -> None:
    place = tmp_path / "tools/released"
    place.mkdir(parents=True)
    (place / "juju-3.6.27-ubuntu-amd64.tgz").write_bytes(b"\x1f\x8b")
    for name in ("generate-agents", "generate-agent-binaries", "generate-tools"):
        done = juju(name, "-d", str(tmp_path), "--prevent-fallback")
        assert done.exit_code == 0
        assert done.stdout.splitlines()[0] == f"Finding agent binaries in {tmp_path} for stream released."
    assert 'Metadata for stream "released" unchanged' in done.stdout
    index = json.loads((tmp_path / "tools/streams/v1/index2.json").read_text())
    assert list(index["index"]) == ["com.ubuntu.juju:released:agents"]
    told = json.loads(juju("generate-agents", "-d", ".", "--public", "--json").stdout)
    assert [each["name"] for each in told["agents"]] == ["3.6.27-ubuntu-amd64"]
    assert "cpc-mirrors.json" in (tmp_path / "tools/streams/v1/mirrors.json").read_text()


def test_no_tarball_is_no_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUJU_DATA", str(tmp_path))
    for more in ((), ("--clean",), ("--stream", "proposed")):
        done = juju("generate-agents", *more)
        assert (done.exit_code, done.stderr) == (1, "ERROR no agent binaries available\n")
    assert not (tmp_path / "tools").exists()


@pytest.mark.parametrize("place", [(), ("-d", ".")], ids=["in the catalogue", "in a directory"])
def test_images_are_added_listed_and_deleted(place: tuple[str, ...]) -> None:
    where = ("--region", "RegionOne", "-u", KEYSTONE, *place)
    assert juju("add-image", "one", *where, "--base", "ubuntu@22.04").exit_code == 0
    assert juju("add-image", "two", *where, "--base", "ubuntu@24.04", "--virt-type", "kvm").exit_code == 0
    table = [line.split() for line in juju("list-images", *place).stdout.splitlines()]
    assert table[1:] == [
        ["custom", "24.04", "amd64", "RegionOne", "two", "released", "kvm"],
        ["custom", "22.04", "amd64", "RegionOne", "one", "released"],
    ]
    one = {"custom": {"22.04": {"amd64": {"RegionOne": [{"image-id": "one", "stream": "released"}]}}}}
    assert json.loads(juju("images", *place, "--format", "json", "--bases", "ubuntu@22.04").stdout) == one
    assert yaml.safe_load(juju("images", *place, "--format", "yaml", "--series", "jammy,focal").stdout) == one
    for option in ("-o", "--output"):
        Path("file").unlink(missing_ok=True)
        assert juju("images", *place, option, "file", "--format", "json", "--arch", "amd64").stdout == ""
        assert "two" in Path("file").read_text()
    assert juju("delete-image", *place, "two").exit_code == 0
    assert juju("delete-image", *place, "two").exit_code == 0
    for more in (("--region", "Nowhere"), ("--stream", "daily"), ("--virt-type", "kvm"), ("--storage-type", "ssd")):
        nothing = juju("list-images", *place, *more)
        assert (nothing.exit_code, nothing.stderr) == (1, "ERROR matching cloud image metadata not found\n")


def test_the_record_of_an_image_that_replaces_another_changes_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    image = ("--base", "ubuntu@24.04", "--storage-size", "8", "--json")
    assert json.loads(juju("add-image", "old", *image).stdout) == {"new": 1, "changed": 0, "id": "old"}
    assert json.loads(juju("add-image", "new", *image).stdout) == {"new": 0, "changed": 1, "id": "new"}
    assert "RegionOne" in juju("list-images").stdout  # that of the settings
    monkeypatch.setenv("OS_REGION_NAME", "Two")
    juju("add-image", "new", *image)
    assert [line.split()[3] for line in juju("list-images").stdout.splitlines()[1:]] == ["RegionOne", "Two"]
    assert json.loads(juju("delete-image", "new", "--json").stdout) == {"removed": 2}


def test_a_machine_gets_the_image_that_was_made_known(tmp_path: Path) -> None:
    juju("add-image", "known", "--region", "RegionOne", "--base", "ubuntu@24.04")
    cloud = ("--region", "RegionOne", "--endpoint", KEYSTONE, "--base", "ubuntu@24.04")
    find = CliRunner().invoke(app, ["streams", "find-image", *cloud, "--no-defaults", "--json"])
    assert json.loads(find.stdout)["image"]["id"] == "known"


def test_looking_at_records_makes_no_catalogue(tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    assert juju("list-images").exit_code == 1
    assert juju("delete-image", "unknown").exit_code == 0
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (("add-image",), "image id must be supplied when adding image metadata", 2),
        (("add-image", "a", "b"), "only one image id can be supplied as an argument to this command", 2),
        (("add-image", "a"), "missing version: metadata for image a not valid", 1),
        (("add-image", "a", "--base", "ubuntu@24.04", "-m", "mine"), "--model mine", 2),
        (("add-image", "a", "--base", "ubuntu@24.04", "--storage-size", "5", "-d", "."), "--storage-size 5", 2),
        (("add-image", "a", "--base", "ubuntu@24.04", "-d", "."), "image region must be specified", 1),
        (("add-image", "a", "--base", "ubuntu@24.04", "--stream", ""), "missing stream: metadata for image a", 1),
        (("delete-image",), "image ID must be supplied when deleting image metadata", 2),
        (("delete-image", "a", "b"), "only one image ID can be supplied as an argument to this command", 2),
        (("list-images",), "matching cloud image metadata not found", 1),
        (("list-images", "-d", "."), "matching cloud image metadata not found", 1),
        (("list-images", "--format", "xml"), 'invalid value "xml"', 2),
    ],
)
def test_records_of_images_go_wrong_in_juju_s_words(words: tuple[str, ...], message: str, code: int) -> None:
    done = juju(*words)
    assert (done.exit_code, done.stderr.startswith(f"ERROR {message}")) == (code, True), done.stderr


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (("validate-images", "-d", "nowhere", "-r", "R"), "stat {}/nowhere/images: no such file or directory", 1),
        (("validate-images", "-p", "openstack"), "base required if provider type is specified", 2),
        (("validate-images", "-s", "a", "--base", "b"), "--series and --base cannot be specified together", 2),
        (("validate-images", "-p", "foo", "-d", ".", "-r", "R", "--base", "ubuntu@24.04"),
         'no registered provider for "foo"', 1),
        (("validate-agents", "-d", "tools", "-j", "3.6.1"), "tools is not an absolute path", 1),
        (("validate-tools", "-p", "openstack", "-j", "3.6.1"), "region required if provider type is specified", 2),
        (("validate-tools", "-s", "xenial", "-j", "2.3.7"), "--series xenial: since Juju 2.9 agents are of", 2),
        (("sign", "-k", "key"), "directory must be specified", 2),
        (("sign", "-d", "."), "keyfile must be specified", 2),
        (("sign", "-d", ".", "-k", "key"), "signing key key: it can not be read", 2),
    ],
)  # fmt: skip
def test_the_commands_that_streams_has_too_go_wrong_in_juju_s_words(
    tmp_path: Path, words: tuple[str, ...], message: str, code: int
) -> None:
    for more in ((), ("--json",)):
        done = juju(*words, *more)
        assert (done.exit_code, done.stdout) == (code, "")
        assert message.format(tmp_path) in done.stderr.replace('\\"', '"')
        assert done.stderr.startswith("{" if more else f"ERROR {message.format(tmp_path)}")


def test_streams_has_the_commands_too() -> None:
    for name in ("generate-image", "generate-agents", "generate-tools", "list-images", "delete-image"):
        assert CliRunner().invoke(app, ["streams", name, "--help"]).exit_code == 0
