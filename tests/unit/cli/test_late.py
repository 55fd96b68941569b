"""Commands are imported when they are asked for, and none when another is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from headwater.cli.late import LateGroup, help_at, late
from headwater.cli.main import app

HERE = "unit.cli.test_late"
inner = typer.Typer(help="More.", no_args_is_help=True)


@inner.command("deep")
def deep() -> None:
    """Say that it is deep."""
    typer.echo("deep")


def plain(count: int = 1) -> None:
    """Say how many."""
    typer.echo(f"{count} of them")


def group(**places: str) -> typer.Typer:
    made = typer.Typer(cls=late({name: f"{HERE}:{place}" for name, place in places.items()}), no_args_is_help=True)
    made.callback()(lambda: None)  # without it typer makes one command of a group that has one
    made.command("early")(lambda: typer.echo("early"))
    return made


def test_functions_and_groups_are_found_by_their_names() -> None:
    made = group(plain="plain", inner="inner")
    assert CliRunner().invoke(made, ["plain", "--count", "2"]).stdout == "2 of them\n"
    assert CliRunner().invoke(made, ["inner", "deep"]).stdout == "deep\n"
    assert CliRunner().invoke(made, ["early"]).stdout == "early\n"
    assert CliRunner().invoke(made, ["other"]).exit_code == 2


def test_help_shows_all_in_their_order() -> None:
    shown = CliRunner().invoke(group(plain="plain", inner="inner"), ["--help"]).stdout
    assert shown.index("early") < shown.index("Say how many.") < shown.index("More.")


def test_one_place_that_is_not_there_stops_no_other_command() -> None:
    assert CliRunner().invoke(group(broken="absent", plain="plain"), ["plain"]).stdout == "1 of them\n"


def test_every_place_of_the_program_holds_a_command() -> None:
    def walk(command: object) -> int:
        return 1 + sum(walk(below) for below in getattr(command, "commands", {}).values())

    assert walk(typer.main.get_command(app)) > 30


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["streams", "query", "absent"], "NoStart"),
        (["image", "show", "absent", "--cloud", "absent"], "CloudUnknown"),
    ],
    ids=["of a feed", "of another service"],
)
def test_a_question_elsewhere_needs_neither_the_server_nor_the_catalogue(
    command: list[str], says: str, tmp_path: Path
) -> None:
    program = (
        "import sys\n"
        "from headwater.cli.main import app\n"
        "try: app(sys.argv[1:], standalone_mode=False)\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print('sqlalchemy' in sys.modules, 'starlette' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command], stdout=subprocess.PIPE, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == [says, "False", "False"]


def late_groups(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], LateGroup]]:
    if isinstance(group, LateGroup):
        yield words, group
    for name, command in getattr(group, "commands", {}).items():
        yield from late_groups(command, (*words, name))


def test_what_the_source_of_a_command_says_of_it_is_its_help() -> None:
    groups = dict(late_groups(typer.main.get_command(app)))
    assert {(), ("image",), ("instance",), ("streams",)} <= set(groups)
    for words, group in groups.items():
        for name, place in group.places.items():
            shown = group.commands[name].help
            assert shown
            # What another module defines is imported for its help.
            assert help_at(place) in ((shown,) if words != ("juju-metadata",) else (shown, None)), (words, name)
            assert not group.commands[name].hidden


def test_a_list_of_commands_imports_none() -> None:
    program = (
        "import sys; from headwater.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*sorted(name for name in sys.modules if name.startswith('headwater.')), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    for name in ("serve", "streams", "metadata-proxy"):
        assert re.search(rf"^. {name} +\S", ran.stdout, re.MULTILINE)
    loaded = ran.stderr.split()
    packages = {"images", "instances", "juju_metadata", "media", "streams"}
    assert {name.split(".")[-1] for name in loaded if name.startswith("headwater.cli.commands.")} <= packages
    assert not {"headwater.database", "headwater.config"} & set(loaded)
