"""``headwater instance import`` and ``export``: many machines at once, as YAML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.catalogue import ImagesByName, opened
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.instances.bulk import records
from headwater.instances.bulk.importing import Outcome, import_all
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.registry import InstanceRows


class RecordsUnreadable(SettingsError):
    """The file of records cannot be read."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"cannot read the file {str(file)!r}: {reason}; nothing was changed")
        self.file, self.reason = file, reason


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML; - reads standard input.")],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Change machines that are registered to what their records say.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register many machines, all or none.

    The file is a list of records; 'export' writes one. What is wrong is told with its place, all of it at once.
    """
    found = records.read(_bytes(file))
    with opened(writes=True) as database:
        outcome = import_all(InstanceRows(database), ImagesByName(database), found, replaces=replace, dry_run=dry_run)
    _say(outcome, dry_run, as_json)


def _say(outcome: Outcome, dry_run: bool, as_json: bool) -> None:
    named = {name: getattr(outcome, name) for name in ("added", "changed", "unchanged")}
    if as_json:
        told = {name: [{"id": each.id, "name": each.name} for each in some] for name, some in named.items()}
        output.say_json({"dry_run": dry_run, **told})
        return
    counts = ", ".join(f"{len(some)} {name}" for name, some in named.items())
    output.say(f"{counts}{' (nothing was done: --dry-run)' if dry_run else ''}")


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
            output.say_json_list(each.to_dict() for each in every)
            return
        for piece in records.written(every):
            sys.stdout.write(piece)
