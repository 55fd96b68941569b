from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.commands.instances import user_data
from headwater.cli.commands.instances.user_data import FileExists, FileUnusable, NothingNamed, UserDataFaulty
from headwater.errors import HeadwaterError
from headwater.instances.user_data.errors import PartUnusable, UserDataUnreadable

CONFIG = b"#cloud-config\nhostname: x\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headwater.cli.commands.instances.findings.installed", lambda: None)
    (tmp_path / "a.yaml").write_bytes(CONFIG)
    (tmp_path / "b.sh").write_bytes(b"#!/bin/sh\necho hi\n")
    return tmp_path


def run(*words: str, given: bytes = b"") -> Result:
    return CliRunner().invoke(user_data.app, words, input=given)


def refused(kind: type[HeadwaterError], *words: str) -> str:
    done = run(*words)
    assert isinstance(done.exception, kind)
    return str(done.exception)


def test_pieces_are_composed_to_standard_output_or_a_file_of_the_owner(here: Path) -> None:
    done = run("compose", "a.yaml", "b.sh", "--part", "script-per-boot:b.sh")
    assert done.exit_code == 0
    assert run("compose", "a.yaml", "b.sh", "--part", "script-per-boot:b.sh", "-o", "out").exit_code == 0
    assert (here / "out").read_bytes() == done.stdout_bytes
    assert (here / "out").stat().st_mode & 0o777 == 0o600
    assert done.stdout_bytes.count(b"Content-Disposition") == 3


def test_what_was_composed_is_told_as_json_on_request(here: Path) -> None:
    whole = run("compose", "a.yaml", "b.sh").stdout_bytes
    facts = json.loads(run("compose", "a.yaml", "b.sh", "--json").stdout)
    assert base64.b64decode(facts["user_data"]) == whole
    assert [each["kind"] for each in facts["parts"]] == ["cloud-config", "script"]
    assert (facts["size"], facts["findings"]) == (len(whole), [])
    facts = json.loads(run("compose", "a.yaml", "-o", "out", "--json").stdout)
    assert facts["path"] == "out"
    assert "user_data" not in facts
    assert (here / "out").stat().st_size == facts["size"]


def test_a_file_that_is_there_is_replaced_only_by_force(here: Path) -> None:
    refused(FileExists, "compose", "a.yaml", "-o", "b.sh")
    assert (here / "b.sh").read_bytes().startswith(b"#!")
    assert run("compose", "a.yaml", "-o", "b.sh", "--force").exit_code == 0
    assert (here / "b.sh").read_bytes().startswith(b"Content-Type")


def test_it_is_compressed_on_request(here: Path) -> None:
    assert gzip.decompress(run("compose", "a.yaml", "--gzip").stdout_bytes) == run("compose", "a.yaml").stdout_bytes


def test_what_has_errors_is_not_composed_unless_it_is_asked_for(here: Path) -> None:
    (here / "bad.yaml").write_bytes(b"#cloud-config\nruncmd: x\n")
    done = run("compose", "a.yaml", "bad.yaml")
    assert isinstance(done.exception, UserDataFaulty)
    assert "error cloud-config-type: bad.yaml, line 2, runcmd: it is a text" in done.stderr
    assert done.stdout_bytes == b""
    assert run("compose", "bad.yaml", "--unchecked").exit_code == 0


def test_a_single_piece_is_called_by_its_file_as_well(here: Path) -> None:
    (here / "bad.yaml").write_bytes(b"#cloud-config\nruncmd: x\n")
    assert "bad.yaml, line 2, runcmd" in run("compose", "bad.yaml").stderr


def test_what_is_too_large_for_some_ways_is_told_before_anything_boots(here: Path) -> None:
    (here / "large.sh").write_bytes(b"#!/bin/sh\n" + b"echo\n" * 5000)
    done = run("compose", "large.sh")
    assert done.exit_code == 0
    assert "bytes are more than ec2 carries (16384" in done.stderr
    assert "headwater" not in done.stderr


def test_ignition_is_not_wrapped(here: Path) -> None:
    (here / "f.ign").write_bytes(b'{"ignition": {"version": "3.4.0"}}')
    assert "takes nothing that is wrapped around it" in refused(PartUnusable, "compose", "f.ign")


@pytest.mark.parametrize("words", [("nowhere",), ("--part", "cloud-config"), ("--part", ":a"), ("--part", "a:")])
def test_what_cannot_be_read_is_named(here: Path, words: tuple[str, ...]) -> None:
    assert words[-1] in refused(FileUnusable, "compose", *words)


def test_user_data_is_shown_piece_by_piece(here: Path) -> None:
    whole = run("compose", "a.yaml", "b.sh", "--gzip").stdout_bytes
    done = run("show", "-", given=whole)
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:3]] == [["1", "cloud-config"], ["2", "script"]]
    assert f"{len(whole)} bytes (gzip); too large for: nothing" in done.stdout
    facts = json.loads(run("show", "-", "--json", given=whole).stdout)
    assert facts["parts"][1] == {
        "part": "2",
        "kind": "script",
        "type": "text/x-shellscript",
        "name": "b.sh",
        "size": 18,
    }
    assert facts["too_large_for"] == []
    assert run("show", "-", "--part", "1", given=whole).stdout_bytes == CONFIG


def test_pieces_are_written_into_a_new_directory(here: Path) -> None:
    whole = run("compose", "a.yaml", "b.sh").stdout_bytes
    assert run("show", "-", "--write", "out", given=whole).exit_code == 0
    assert {each.name: each.read_bytes() for each in (here / "out").iterdir()} == {
        "1-a.yaml": CONFIG,
        "2-b.sh": b"#!/bin/sh\necho hi\n",
    }
    assert isinstance(run("show", "-", "--write", "out", given=whole).exception, FileExists)


def test_names_of_pieces_lead_nowhere_else(here: Path) -> None:
    part = b'Content-Type: text/x-own\nContent-Disposition: attachment; filename="../../x/..\\y"\n\na\n'
    whole = b"Content-Type: multipart/mixed; boundary=x\n\n--x\n" + part + b"--x--\n"
    assert run("show", "-", "--write", "out", given=whole).exit_code == 0
    assert [each.name for each in (here / "out").iterdir()] == ["1-x..y"]


def test_what_is_shown_or_checked_is_named_once(here: Path) -> None:
    for command in ("show", "check"):
        refused(NothingNamed, command)
        refused(NothingNamed, command, "a.yaml", "--instance", "web")
    assert isinstance(run("show", "-", given=b"\x1f\x8bx").exception, UserDataUnreadable)
    assert "there are 1" in refused(FileUnusable, "show", "a.yaml", "--part", "7")


def test_check_tells_faults_in_three_forms_and_ends_by_their_level(here: Path) -> None:
    (here / "bad.yaml").write_bytes(b"#cloud-config\nmy_own_thing: x\n")
    done = run("check", "bad.yaml")
    assert done.exit_code == 0
    assert (
        "warning cloud-config-unknown-key [cloud-init]\n  bad.yaml: user_data: line 2, my_own_thing: no" in done.stdout
    )
    assert run("check", "bad.yaml", "--level", "warning").exit_code == 1
    [found] = json.loads(run("check", "bad.yaml", "--json").stdout)["findings"]
    assert found["rule"] == "cloud-config-unknown-key"
    [log] = json.loads(run("check", "bad.yaml", "--format", "sarif").stdout)["runs"]
    assert log["results"][0]["ruleId"] == "cloud-config-unknown-key"
    assert run("check", "a.yaml").stdout == "nothing found\n"


def test_a_schema_that_is_named_is_asked_too(here: Path) -> None:
    (here / "schema.json").write_text('{"properties": {"hostname": {"enum": ["y"]}}}')
    assert "cloud-config-schema" in run("check", "a.yaml", "--schema", "schema.json").stdout
