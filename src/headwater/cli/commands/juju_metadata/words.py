"""How Juju's commands answer: what went wrong as ``ERROR …``, 2 for wrong options and 1 for all else."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.cli import exits, output
from headwater.cli.option_groups import Command
from headwater.errors import HeadwaterError, Invalid, SettingsError
from headwater.streams.trees.directory import DirectoryTree

Controller = Annotated[
    str, typer.Option("-c", "--controller", metavar="NAME", help="Refused: no controller is asked for anything here.")
]
Model = Annotated[
    str, typer.Option("-m", "--model", metavar="NAME", help="Refused: no model is asked for anything here.")
]


class WrongOptions(Invalid):
    """The options of a command of Juju's contradict each other, or ask for what there is not."""


class CommandFailed(HeadwaterError):
    """A command of Juju's could not do its work; the message is Juju's."""


@contextmanager
def answers(*, as_json: bool, before: str = "") -> Iterator[None]:
    """Say what goes wrong as Juju does, and end with its exit code.

    Args:
        before: What Juju says before the cause.
    """
    try:
        yield
    except HeadwaterError as error:
        if as_json:
            output.complain(error, as_json=True)
        else:
            own = isinstance(error, WrongOptions | CommandFailed | SettingsError)
            output.say_error(f"ERROR {'' if own else before}{error}")
        raise typer.Exit(
            exits.WRONG_USE if isinstance(error, WrongOptions | SettingsError) else exits.FAILED
        ) from error


def in_juju_s_words(command: Command) -> Command:
    """Return a command that says what goes wrong as Juju does, and ends with its exit code."""

    @functools.wraps(command)
    def answering(**given: Any) -> None:
        with answers(as_json=given["as_json"]):
            command(**given)

    return answering


def refuse_controller(controller: str = "", model: str = "") -> None:
    """Refuse what asks a controller."""
    for option, given in (("--controller", controller), ("--model", model)):
        if given:
            raise WrongOptions(
                f"{option} {given}: no controller is asked; what it would say is given by options, and metadata lie "
                "in the directory of -d or, for records of images, in the catalogue"
            )


def directory_of(given: str) -> Path:
    """Return the absolute form of a directory, which has to be there.

    Raises:
        CommandFailed: As Juju says it.
    """
    directory = Path(given or ".").absolute()
    if not directory.exists():
        raise CommandFailed(f"stat {directory}: no such file or directory")
    if not directory.is_dir():
        raise CommandFailed(f"specified source path is not a directory: {directory}")
    return directory


def tree_in(directory: Path, name: str) -> DirectoryTree:
    """Return the tree ``images`` or ``tools`` of a directory."""
    return DirectoryTree(directory / name)
