from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app
from unit.streams.keys import open_key
from unit.streams.lookup.feeds import AGENTS, INDEX2, agent_index, agents

KEYSTONE = "https://keystone.example:5000/v3"
CLOUD = ("--region", "RegionOne", "--endpoint", KEYSTONE)


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_DATA_DIR", str(tmp_path / "data"))
    for name in ("OS_REGION_NAME", "OS_AUTH_URL"):
        monkeypatch.delenv(name, raising=False)


def streams(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["streams", *map(str, words)])


def feed(tree: Path, image: str = "an-id", *more: str | Path) -> Path:
    assert streams("add-image", tree, image, *CLOUD, "--version", "24.04", *more).exit_code == 0
    return tree


def find(*words: str | Path) -> Result:
    return streams("find-image", *CLOUD, "--no-defaults", *words)


@pytest.mark.parametrize("named", [("--base", "ubuntu@24.04"), ("--version", "24.04"), ("--series", "noble")])
def test_an_image_is_found_and_every_step_shown(tmp_path: Path, named: tuple[str, str]) -> None:
    tree = feed(tmp_path / "feed")
    result = find(*named, "--url", tree)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "keystone catalog: skipped: Keystone is not asked" in lines
    assert f"  absent: file://{tree}/streams/v1/index2.sjson" in lines
    assert lines[-1].startswith("found: an-id, from image-metadata-url in file://")
    assert lines[-1].endswith(", not signed")
    answer = json.loads(find(*named, "--url", tree, "--json").stdout)
    assert answer["image"]["id"] == "an-id"
    assert {step["kind"] for step in answer["steps"]} >= {"source", "read", "taken"}
    assert answer["resolved"][0]["indexURL"] == f"file://{tree}/{INDEX2}"


def test_certificates_that_are_not_there_are_a_wrong_use(tmp_path: Path) -> None:
    result = find("--version", "24.04", "--url", feed(tmp_path / "feed"), "--cafile", tmp_path / "absent.pem")
    assert result.exit_code == 2
    assert "absent.pem" in re.sub(r"[\s│]", "", result.stderr)  # in a box, which breaks long paths


def test_what_is_not_found_is_told_with_the_reason_and_exit_code_1(tmp_path: Path) -> None:
    tree = feed(tmp_path / "feed")
    result = streams("find-image", "--region", "regionone", "--endpoint", KEYSTONE, "--base", "ubuntu@24.04",
                     "--no-defaults", "--url", tree)  # fmt: skip
    assert result.exit_code == 1
    assert "is compared exactly" in result.stdout
    assert 'not found: no metadata for "ubuntu@24.04" images in regionone with arch amd64' in result.stdout
    answer = find("--version", "22.04", "--url", tree, "--json")
    assert (answer.exit_code, json.loads(answer.stdout)["image"]) == (1, None)


def test_what_the_key_of_the_user_signed_is_found_signed(tmp_path: Path) -> None:
    key = open_key()
    secret, public = tmp_path / "key.asc", tmp_path / "public.pgp"
    secret.write_bytes(key.armor)
    public.write_bytes(bytes(key.certificate))
    tree = feed(tmp_path / "feed", "an-id", "--key", secret)
    assert json.loads(find("--version", "24.04", "--url", tree, "--json").stdout)["image"]["signed"] is False
    trusting = find("--version", "24.04", "--url", tree, "--keyring", public, "--json")
    assert json.loads(trusting.stdout)["image"]["signed"] is True


def test_what_a_bootstrap_would_import_is_found_before_every_source(tmp_path: Path) -> None:
    feed(tmp_path / "metadata" / "images", "imported")
    tree = feed(tmp_path / "feed", "newer")
    imported = json.loads(streams("import-metadata", tmp_path / "metadata", "--json").stdout)
    assert (imported["new"], imported["changed"], imported["images"][0]["id"]) == (1, 0, "imported")
    assert "1 images read: 0 are new" in streams("import-metadata", tmp_path / "metadata").stdout
    found = json.loads(find("--version", "24.04", "--url", tree, "--json").stdout)
    assert (found["image"]["id"], found["image"]["source"]) == ("imported", "custom")
    fresh = find("--version", "24.04", "--url", tree, "--for", "bootstrap", "--json")
    assert json.loads(fresh.stdout)["image"]["id"] == "newer"


def test_a_directory_of_metadata_is_for_a_bootstrap(tmp_path: Path) -> None:
    feed(tmp_path / "images")
    found = json.loads(find("--version", "24.04", "--metadata-source", tmp_path, "--json").stdout)
    assert found["image"]["source"] == "bootstrap metadata"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--version", "24.04", "--base", "ubuntu@24.04"),
        ("--base", "24.04"),
        ("--series", "foo"),
        ("--version", "24.04", "--metadata-source", "/no/such"),
        ("--version", "24.04", "--juju", "1.24"),
        ("--version", "24.04", "--keyring", "/no/such"),
    ],
)
def test_a_wrong_use_ends_with_2(words: tuple[str, ...]) -> None:
    arguments = ["streams", "find-image", *CLOUD, "--no-defaults", *words]
    from headwater.cli.main import main  # noqa: PLC0415  # turns errors into exit codes

    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_the_cloud_must_be_named() -> None:
    result = streams("find-image", "--version", "24.04")
    assert "--region and --endpoint" in str(result.exception)


def agent_feed(tmp_path: Path) -> Path:
    for path, body in ((INDEX2, agent_index()), (AGENTS, agents())):
        file = tmp_path / "tools" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(body))
    return tmp_path


@pytest.mark.parametrize("version", ["3.6.27", "3.6", "3"])
@pytest.mark.parametrize("where", ["--url", "--metadata-source"])
def test_an_agent_is_found(tmp_path: Path, version: str, where: str) -> None:
    directory = agent_feed(tmp_path)
    place = directory / "tools" if where == "--url" else directory
    words = ("find-agent", "--version", version, where, place, "--no-defaults")
    found = json.loads(streams(*words, "--json").stdout)
    [agent] = found["agents"]
    assert agent["url"] == f"file://{directory}/tools/released/juju-3.6.27-ubuntu-amd64.tgz"
    assert "found: 3.6.27-ubuntu-amd64" in streams(*words).stdout


def test_an_agent_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = streams("find-agent", "--version", "3.6.28", "--metadata-source", agent_feed(tmp_path))
    assert result.exit_code == 1
    assert "its version is 3.6.27" in result.stdout
    assert "not found: no matching agent binaries found for constraint" in result.stdout


def test_a_cloud_of_agents_is_named_whole_or_not_at_all() -> None:
    for half, missing in (
        (("--region", "RegionOne"), "--endpoint or $OS_AUTH_URL"),
        (("--endpoint", "http://keystone/v3"), "--region or $OS_REGION_NAME"),
    ):
        result = streams("find-agent", "--version", "3.6", *half, "--no-defaults")
        assert f"name the other with {missing}" in str(result.exception)


def test_a_web_page_in_place_of_an_index_is_told(tmp_path: Path) -> None:
    (tmp_path / "streams/v1").mkdir(parents=True)
    (tmp_path / "streams/v1/index2.json").write_text("<html>log in</html>")
    cloud = ("--region", "R", "--endpoint", "http://keystone/v3", "--base", "ubuntu@24.04")
    result = streams("find-image", *cloud, "--url", tmp_path, "--no-defaults")
    assert result.exit_code == 1
    assert "index2.json: it is not JSON but a web page, such as one to log in" in result.stdout
