"""Commands are imported when they are asked for, and none when another is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from headwater.cli.late import late
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
