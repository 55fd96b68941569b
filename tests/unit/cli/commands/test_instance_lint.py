from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from headwater.cli.commands.instances import app as instance_app
from headwater.cli.commands.instances import lint as lint_command
from headwater.cli.commands.instances.app import ArgumentWrong
from headwater.cli.commands.instances.lint import NothingToLint, RecordsUnreadable
from headwater.database.engine import Database
from headwater.instances.errors import InstanceInvalid, InstanceNotFound
from headwater.instances.lint.check import NoSuchConsumer
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.user_data.errors import TemplateInvalid
from templates import sqlite_catalogue
from unit.instances.examples import BARE, WEB_1

APP = typer.Typer()
APP.command()(lint_command.lint)


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = sqlite_catalogue(tmp_path / "headwater.db")

    @contextmanager
    def opened(*, writes: bool = False) -> Iterator[Database]:
        database = Database(url)
        yield database
        database.close()

    monkeypatch.setattr(lint_command, "opened", opened)
    monkeypatch.setattr(instance_app, "opened", opened)
    monkeypatch.setattr("headwater.cli.commands.instances.findings.installed", lambda: None)
    database = Database(url)
    rows = InstanceRows(database)
    rows.add(WEB_1)
    rows.add(replace(BARE, tokens="required", addresses=("10.0.0.9",)))
    database.close()
    return url


def lint(*words: str | Path) -> Result:
    return CliRunner().invoke(APP, list(map(str, words)))


@pytest.mark.usefixtures("catalogue")
def test_registered_machines_are_judged_by_name_or_all() -> None:
    done = lint("bare")
    assert done.exit_code == 1
    assert "error cloud-init-tokens-elsewhere [cloud-init]\n  bare: tokens: tokens are required" in done.stdout
    assert "\n  why: its data source OpenStack knows no tokens" in done.stdout
    assert "\n  fix: set --tokens optional" in done.stdout
    assert lint(WEB_1.id).exit_code == 0
    found = json.loads(lint("--all", "--json").stdout)["findings"]
    assert {"bare", "Web 1"} == {each["instance"] for each in found}


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--level", "note"), 1),
        (("--consumer", "afterburn"), 1),
        (("--consumer", "ironic"), 0),
        (("--consumer", "cloud-init@19.3"), 1),
        (("--level", "loud"), 2),
        (("--format", "xml"), 2),
    ],
)
def test_the_exit_code_follows_from_the_level_and_the_consumers(words: tuple[str, ...], code: int) -> None:
    assert lint("bare", *words).exit_code == code


@pytest.mark.usefixtures("catalogue")
def test_a_consumer_of_some_release_is_not_told_of_the_rules_of_others() -> None:
    stdout = lint("bare", "--consumer", "ignition@2.10").stdout
    assert "ignition-tokens [ignition]" in stdout
    assert "ignition-tokens-aws" not in stdout
    assert "ignition-tokens-aws [ignition, before 2.10.0]" in lint("bare", "--consumer", "ignition").stdout


@pytest.mark.usefixtures("catalogue")
def test_sarif_is_a_log() -> None:
    assert json.loads(lint("--all", "--format", "sarif").stdout)["version"] == "2.1.0"


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
@pytest.mark.parametrize("several", [False, True])
def test_records_in_files_are_judged_without_a_catalogue(tmp_path: Path, write: object, several: bool) -> None:
    record = replace(BARE, tokens="required").to_dict()
    assert callable(write)
    (tmp_path / "records").write_text(write([record, record] if several else record))
    done = lint("--file", tmp_path / "records", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)["findings"]
    assert [each["rule"] for each in found].count("cloud-init-tokens-elsewhere") == (2 if several else 1)


@pytest.mark.usefixtures("catalogue")
def test_what_is_asked_for_wrongly_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("[")
    (tmp_path / "other").write_text("{}")
    (tmp_path / "twice").write_text('{"name": "a", "name": "b"}')
    (tmp_path / "latin").write_bytes(b'{"name": "\xff"}')
    wrong: list[tuple[type[Exception], tuple[str | Path, ...]]] = [
        (NothingToLint, ()),
        (NothingToLint, ("bare", "--all")),
        (NothingToLint, ("bare", "--file", "x")),
        (NoSuchConsumer, ("bare", "--consumer", "docker")),
        (InstanceNotFound, ("nobody",)),
        (RecordsUnreadable, ("--file", tmp_path / "none")),
        (RecordsUnreadable, ("--file", tmp_path / "bad")),
        (RecordsUnreadable, ("--file", tmp_path / "twice")),
        (RecordsUnreadable, ("--file", tmp_path / "latin")),
        (InstanceInvalid, ("--file", tmp_path / "other")),
    ]
    for kind, words in wrong:
        assert isinstance(lint(*words).exception, kind), words


@pytest.mark.usefixtures("catalogue")
def test_user_data_is_rendered_when_it_is_registered_and_refused_when_it_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("#cloud-config\nfqdn: {{ hostname }}.{{ meta.domain }}\n")

    def add(*words: str) -> Result:
        template = f"@{tmp_path / 't'}"
        return CliRunner().invoke(instance_app.app, ["add", "--name", "db", "--user-data-template", template, *words])

    assert isinstance(add().exception, TemplateInvalid)
    assert isinstance(add("--user-data", "x").exception, ArgumentWrong)
    assert isinstance(CliRunner().invoke(instance_app.app, ["show", "db"]).exception, InstanceNotFound)
    assert add("--meta", "domain=example.org").exit_code == 0
    shown = json.loads(CliRunner().invoke(instance_app.app, ["show", "db", "--json"]).stdout)
    assert shown["user_data_base64"] == "I2Nsb3VkLWNvbmZpZwpmcWRuOiBkYi5leGFtcGxlLm9yZwo="
