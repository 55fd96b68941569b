"""``headwater instance import`` and ``export``: many machines at once, as YAML or from libvirt."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.cli import output
from headwater.cli.catalogue import ImagesByName, opened
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.instances.bulk import records
from headwater.instances.bulk.differences import differences
from headwater.instances.bulk.importing import Outcome, import_all
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.sources.libvirt import domains, live


class RecordsUnreadable(SettingsError):
    """The file of records cannot be read."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"cannot read the file {str(file)!r}: {reason}; nothing was changed")
        self.file, self.reason = file, reason


class SourcesWrong(SettingsError):
    """The command names no source of machines, or several of different kinds."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}; nothing was changed")
        self.problem = problem


def import_(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="YAML, one file; with --libvirt any number; - reads standard input."),
    ] = None,
    *,
    libvirt: Annotated[
        bool, typer.Option("--libvirt", help="The files hold domains as 'virsh dumpxml' prints them.")
    ] = False,
    libvirt_uri: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Take all domains of this libvirt, such as qemu:///system, and no file."),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Change machines that are registered to what their records say; domains always do."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register many machines, all or none.

    A YAML file is a list of records; 'export' writes one. What is wrong is told with its place, all of it at once.
    """
    wrong: records.RecordsWrong | None = None
    try:
        found = _records(files or [], libvirt, libvirt_uri)
    except records.RecordsWrong as error:  # told below, with what the registry says of the others
        found, wrong = error.good, error
    with opened(writes=True) as database:
        outcome = import_all(
            InstanceRows(database),
            ImagesByName(database),
            found,
            replaces=replace or libvirt or libvirt_uri is not None,
            dry_run=dry_run,
            wrong=wrong,
        )
    _say(outcome, dry_run, as_json)


def _records(files: Sequence[Path], libvirt: bool, uri: str | None) -> Sequence[records.Record]:
    if uri is not None:
        if files:
            raise SourcesWrong(f"--libvirt-uri takes all domains of {uri!r}, and no file beside it")
        return domains.read(live.domains(uri))
    if not files:
        raise SourcesWrong("name the file of machines, or - for standard input")
    if libvirt:
        return domains.read(domains.Source(name=str(file), data=_bytes(file)) for file in files)
    if len(files) > 1:
        raise SourcesWrong(f"one YAML file is taken at a time, and {len(files)} are named; --libvirt takes several")
    return records.read(_bytes(files[0]))


def _say(outcome: Outcome, dry_run: bool, as_json: bool) -> None:
    named = {name: getattr(outcome, name) for name in ("added", "changed", "unchanged")}
    changes = {each.id: differences(outcome.before[each.id], each) for each in outcome.changed}
    if as_json:
        told = {name: [{"id": each.id, "name": each.name} for each in some] for name, some in named.items()}
        for each in told["changed"]:
            each["fields"] = {name: {"from": old, "to": new} for name, (old, new) in changes[each["id"]].items()}
        output.say_json({"dry_run": dry_run, **told})
        return
    counts = ", ".join(f"{len(some)} {name}" for name, some in named.items())
    output.say(f"{counts}{' (nothing was done: --dry-run)' if dry_run else ''}")
    if dry_run:
        for instance in outcome.changed:
            for line in _lines(changes[instance.id]):
                output.say(f"  {instance.name}: {line}")


def _lines(changes: Mapping[str, tuple[Any, Any]]) -> list[str]:
    texts = {name: [json.dumps(value, ensure_ascii=False) for value in pair] for name, pair in changes.items()}
    return [f"{name}: {before} -> {after}" for name, (before, after) in texts.items()]


def _bytes(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(records.MOST_BYTES + 1)
        with file.open("rb") as source:
            return source.read(records.MOST_BYTES + 1)
    except OSError as error:
        raise RecordsUnreadable(file, error.strerror or str(error)) from error


def export(as_json: AsJson = False) -> None:
    """Print all machines as YAML that 'import' reads, with their user data."""
    with opened() as database:
        every = InstanceLists(database).all()
        if as_json:
            output.say_json_list(map(records.said_of, every))
            return
        for piece in records.written(every):
            sys.stdout.write(piece)
