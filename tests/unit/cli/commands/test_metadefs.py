from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory with a fresh catalogue."""
    directory = tmp_path / "data"
    assert CliRunner().invoke(app, ["--data-dir", str(directory), "db", "upgrade"]).exit_code == 0
    return directory


def run(data_dir: Path, *words: str | Path) -> Result:
    return CliRunner().invoke(app, ["--data-dir", str(data_dir), "metadefs", *map(str, words)])


def test_a_fresh_catalogue_has_the_base_set(data_dir: Path) -> None:
    listed = run(data_dir, "list", "--json")
    assert listed.exit_code == 0, listed.output
    namespaces = {each["namespace"]: each for each in json.loads(listed.stdout)}
    assert len(namespaces) == 33
    assert list(namespaces) == sorted(namespaces)
    assert namespaces["OS::Compute::Quota"] == {
        "namespace": "OS::Compute::Quota",
        "visibility": "public",
        "protected": True,
        "owner": "admin",
        "properties": 0,
        "objects": 3,
        "tags": 0,
        "resource_types": ["OS::Nova::Flavor"],
    }
    assert run(data_dir, "load").stdout == "nothing to do\n"


def test_what_is_exported_and_changed_is_loaded(data_dir: Path, tmp_path: Path) -> None:
    written = json.loads(run(data_dir, "export", tmp_path / "out", "--json").stdout)["files"]
    assert len(written) == 33
    file = tmp_path / "out" / "OS--Compute--Quota.json"
    document = json.loads(file.read_text())
    document["tags"] = [{"name": "new"}]
    file.write_text(json.dumps(document))
    assert json.loads(run(data_dir, "load", tmp_path / "out", "--json").stdout) == {"changed": []}
    merged = run(data_dir, "load", tmp_path / "out", "--merge")
    assert merged.stdout == "OS::Compute::Quota\n"
    assert run(data_dir, "load", "--overwrite", "--json").exit_code == 0
    quota = next(each for each in json.loads(run(data_dir, "list", "--json").stdout) if each["objects"] == 3)
    assert quota["tags"] == 0


def test_one_cannot_merge_and_overwrite(data_dir: Path, tmp_path: Path) -> None:
    refused = run(data_dir, "load", tmp_path, "--merge", "--overwrite")
    assert refused.exit_code != 0
    assert "not both" in str(refused.exception)


def test_a_wrong_file_is_named(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    refused = run(data_dir, "load", tmp_path)
    assert refused.exit_code != 0
    assert "bad.json" in str(refused.exception)


def test_the_definitions_of_scs_come_on_request_and_once(data_dir: Path, tmp_path: Path) -> None:
    assert json.loads(run(data_dir, "load", "--set", "scs-0102", "--json").stdout) == {
        "changed": ["SCS::ImageMetadata"]
    }
    assert run(data_dir, "load", "--set", "scs-0102").stdout == "nothing to do\n"
    listed = {each["namespace"]: each for each in json.loads(run(data_dir, "list", "--json").stdout)}
    assert (len(listed), listed["SCS::ImageMetadata"]["resource_types"]) == (34, ["OS::Glance::Image"])
    assert run(data_dir, "load", "--set", "base").stdout == "nothing to do\n"
    both = run(data_dir, "load", tmp_path, "--set", "scs-0102")
    assert "not both" in str(both.exception)
