"""``headwater instance user-data``: several pieces in one, what is in one, and what is wrong with it."""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from headwater.cli import output
from headwater.cli.catalogue import opened
from headwater.cli.commands.instances.findings import SchemaOption, say_findings, schema_of
from headwater.cli.findings import Format, FormatOption, LevelOption, Threshold, exit_for
from headwater.cli.machines import find
from headwater.cli.output import AsJson
from headwater.errors import Conflict, Invalid, NotFound, SettingsError
from headwater.findings import Level
from headwater.instances.lint.check import of_user_data, worst, worst_first
from headwater.instances.lint.rules import Finding
from headwater.instances.user_data.composing import Part, composed, part
from headwater.instances.user_data.kinds import kind_of
from headwater.instances.user_data.limits import WAYS, too_large_for
from headwater.instances.user_data.taking_apart import Piece, pieces

app = typer.Typer(no_args_is_help=True, help="Put user data together, take it apart, and check it.")

_OF_PART: Final = re.compile(r"part ([0-9]+)((?:\.[0-9]+)*(?:, .*)?)")

Source = Annotated[
    str | None, typer.Argument(metavar="[FILE]", help="A file, or - for standard input.", show_default=False)
]
OfInstance = Annotated[
    str | None, typer.Option("--instance", metavar="INSTANCE", help="That of a registered machine, by name or id.")
]


class FileUnusable(SettingsError):
    """A file cannot be read or written."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file


class NothingNamed(SettingsError):
    """It was not said whose user data, or said twice."""

    def __init__(self) -> None:
        super().__init__("name a file, - for standard input, or --instance: one of them")


class NoUserData(NotFound):
    """The machine has none."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has no user data")
        self.name = name


class FileExists(Conflict):
    """A file of the name is there."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"{file} is there already; give --force to replace it, or another name")
        self.file = str(file)


class UserDataFaulty(Invalid):
    """What is composed has faults, so it is not composed."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"user data: {count} errors, which stand above; mend them, or compose all the same: --unchecked"
        )
        self.count = count


@app.command()
def compose(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...", help="Pieces that say by their first line what they are.", show_default=False
        ),
    ] = None,
    *,
    parts: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            metavar="TYPE:FILE",
            help="A piece of a type, such as cloud-config, script-per-boot or text/x-shellscript. After the others.",
        ),
    ] = None,
    compress: Annotated[bool, typer.Option("--gzip", help="Compress it.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where it is written. Default: standard output."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Compose what has errors, too.")] = False,
    schema: SchemaOption = None,
    as_json: AsJson = False,
) -> None:
    """Put pieces together as MIME, in their order; the same pieces make the same bytes."""
    made = [part(path.name, _read(str(path))) for path in files or ()]
    made += [_named(each) for each in parts or ()]
    whole = composed(made, compress=compress)
    found = of_user_data(whole, "user data", schema_of(schema))
    for finding in found:
        output.say_error(f"{finding.level} {finding.rule}: {_where(finding, made)}: {finding.sentence}")
    errors = sum(finding.level is Level.ERROR for finding in found)
    if errors and not unchecked:
        raise UserDataFaulty(errors)
    for way in too_large_for(len(whole)):
        output.say_error(f"{len(whole)} bytes are more than {way.name} carries ({way.most}: {way.source})")
    if file is not None:
        _write(file, whole, force=force)
    if as_json:
        kept = {"user_data": base64.b64encode(whole).decode()} if file is None else {"path": str(file)}
        output.say_json(kept | _facts_of(whole) | {"findings": [finding.to_dict() for finding in found]})
    elif file is None:
        _say_bytes(whole)


def _named(text: str) -> Part:
    kind, separator, path = text.partition(":")
    if not separator or not kind or not path:
        raise FileUnusable(text, "--part wants TYPE:FILE, such as script-per-boot:tune.sh")
    return part(Path(path).name, _read(path), kind)


def _where(finding: Finding, made: Sequence[Part]) -> str:
    """Return the place with the name of the file, which people know, in place of a number."""
    place = finding.field.removeprefix("user_data").removeprefix(": ")
    if len(made) == 1:
        return ", ".join(each for each in (made[0].name, place) if each)
    found = _OF_PART.fullmatch(place)
    return place if found is None else made[int(found[1]) - 1].name + found[2]


@app.command()
def show(
    source: Source = None,
    *,
    instance: OfInstance = None,
    number: Annotated[
        str | None, typer.Option("--part", metavar="NUMBER", help="Print this piece alone, byte for byte.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--write", metavar="DIRECTORY", help="Write each piece into a new directory.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take user data apart: of which kind each piece is, and how large, and what carries the whole."""
    data = _data(source, instance)
    found = pieces(data)
    if number is not None:
        chosen = [piece for piece in found if piece.number == number]
        if not chosen:
            raise FileUnusable(f"part {number}", f"there are {', '.join(piece.number for piece in found)}")
        _say_bytes(chosen[0].data)
        return
    if directory is not None:
        _write_all(directory, found)
    if as_json:
        output.say_json(_facts_of(data))
        return
    rows = [
        [
            piece.number,
            piece.kind.name if piece.kind else "unknown",
            piece.mime or "",
            piece.name or "",
            f"{len(piece.data)}",
        ]
        for piece in found
    ]
    output.say_table(("Part", "Kind", "Type", "Name", "Bytes"), rows)
    output.say(f"{len(data)} bytes ({_name_of(data)}); too large for: {', '.join(_refusing(data)) or 'nothing'}")


def _facts_of(data: bytes) -> dict[str, object]:
    refusing = _refusing(data)
    return {
        "size": len(data),
        "kind": _name_of(data),
        "parts": [_facts(piece) for piece in pieces(data)],
        "carried_by": [way.name for way in WAYS if way.name not in refusing],
        "too_large_for": refusing,
    }


def _refusing(data: bytes) -> list[str]:
    return [way.name for way in too_large_for(len(data))]


def _say_bytes(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _name_of(data: bytes) -> str:
    kind = kind_of(data)
    return "unknown" if kind is None else kind.name


def _facts(piece: Piece) -> dict[str, object]:
    kind = None if piece.kind is None else piece.kind.name
    return {"part": piece.number, "kind": kind, "type": piece.mime, "name": piece.name, "size": len(piece.data)}


def _write_all(directory: Path, found: Sequence[Piece]) -> None:
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError as error:
        raise FileExists(directory) from error
    except OSError as error:
        raise FileUnusable(str(directory), error.strerror or str(error)) from error
    for piece in found:
        name = "".join(each for each in piece.name or "" if each.isalnum() or each in "._-").strip(".")
        _write(directory / f"{piece.number}-{name or (piece.kind.name if piece.kind else 'unknown')}"[:200], piece.data)


@app.command()
def check(
    source: Source = None,
    *,
    instance: OfInstance = None,
    level: LevelOption = Threshold.ERROR,
    form: FormatOption = Format.TEXT,
    schema: SchemaOption = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with user data: cloud-configs, scripts, and what no guest would take."""
    data = _data(source, instance)
    found = worst_first(of_user_data(data, instance or source or "-", schema_of(schema)))
    say_findings(found, Format.JSON if as_json else form)
    exit_for(worst(found), level)


def _data(source: str | None, instance: str | None) -> bytes:
    if (source is None) == (instance is None):
        raise NothingNamed
    if source is not None:
        return sys.stdin.buffer.read() if source == "-" else _read(source)
    with opened() as database:
        found = find(database, str(instance)).instance
    if found.user_data is None:
        raise NoUserData(found.name)
    return found.user_data


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise FileUnusable(file, error.strerror or str(error)) from error
    except ValueError as error:  # a NUL in the name
        raise FileUnusable(file, str(error)) from error


def _write(file: Path, data: bytes, *, force: bool = False) -> None:
    """Write what only its owner may read: user data often holds secrets."""
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        with open(os.open(file, flags, 0o600), "wb") as opened_file:  # noqa: PTH123 - Path.open takes no descriptor
            opened_file.write(data)
    except FileExistsError as error:
        raise FileExists(file) from error
    except OSError as error:
        raise FileUnusable(str(file), error.strerror or str(error)) from error
