"""``headwater instance lint``: what the programs in guests would stumble over, before anything boots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from headwater.cli.catalogue import opened
from headwater.cli.commands.instances.app import told_now
from headwater.cli.commands.instances.findings import SchemaOption, say_findings, schema_of
from headwater.cli.findings import Format, FormatOption, LevelOption, Threshold, exit_for
from headwater.cli.machines import find
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.instances.bulk.document import instance_in
from headwater.instances.lint.check import CONSUMERS, Consumer, worst, worst_first
from headwater.instances.lint.check import lint as linted
from headwater.instances.lint.rules import Finding
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.model import Instance
from headwater.instances.user_data.yaml_documents import NotYaml, loaded
from headwater.json_keys import twice


class NothingToLint(SettingsError):
    """It was not said which machines, or said in several ways."""

    def __init__(self) -> None:
        super().__init__("name machines, or give --all, or --file with records: one of the three")


class RecordsUnreadable(SettingsError):
    """A file of records cannot be read."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = str(file)


def lint(
    instances: Annotated[list[str] | None, typer.Argument(metavar="[INSTANCE]...", help="Names or ids.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All that are registered.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="Records as 'instance show', 'list' or 'export' prints them, as JSON or in YAML.",
        ),
    ] = None,
    consumer: Annotated[
        list[str] | None,
        typer.Option(
            "--consumer",
            metavar="NAME[@VERSION]",
            help=f"Who reads the record; may be repeated. {', '.join(CONSUMERS)}. Default: whom the user data is for.",
        ),
    ] = None,
    level: LevelOption = Threshold.ERROR,
    form: FormatOption = Format.TEXT,
    schema: SchemaOption = None,
    dynamic: Annotated[
        bool,
        typer.Option("--dynamic/--no-dynamic", help="Ask the services of vendor data about machines that are named."),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Say what the programs in a machine would stumble over in its record, and what to do about it."""
    if (bool(instances), every, file is not None).count(True) != 1:
        raise NothingToLint
    chosen = [Consumer.named(each) for each in consumer or ()]
    own = schema_of(schema)
    found: list[Finding] = []
    for instance in _records(instances or [], every, file):
        failing = told_now(instance, ask=dynamic).failing if instances else {}
        found += linted(instance, chosen, own, failing=failing)
    say_findings(worst_first(found), Format.JSON if as_json else form)
    exit_for(worst(found), level)


def _records(names: list[str], every: bool, file: Path | None) -> Iterator[Instance]:
    if file is not None:
        yield from map(instance_in, _read(file))
        return
    with opened() as database:
        if not every:
            yield from (find(database, name).instance for name in names)
            return
        yield from InstanceLists(database).all()


def _read(file: Path) -> list[Any]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise RecordsUnreadable(file, error.strerror or str(error)) from error
    try:
        document = msgspec.json.decode(data)
        if (problem := twice(data)) is not None:
            raise RecordsUnreadable(file, problem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            document = loaded(data, is_written=True)
        except NotYaml as error:
            raise RecordsUnreadable(file, "it is neither JSON nor YAML") from error
    if isinstance(document, dict) and set(document) == {"instances"}:
        document = document["instances"]
    return document if isinstance(document, list) else [document]
