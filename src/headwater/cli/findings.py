"""What the commands that look for faults have in common: the form of a report, and the level from which they fail."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from headwater.cli import exits
from headwater.findings import Level


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


class Threshold(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


LevelOption = Annotated[
    Threshold,
    typer.Option(
        "--level",
        metavar="LEVEL",
        help="Exit with 1 for findings of this level or a worse one: error, warning, note.",
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", metavar="FORMAT", help="text, json or sarif.")]


def exit_for(worst: Level | None, threshold: Threshold) -> None:
    """End the command with 1 when the worst that was found is of the level that was chosen, or worse."""
    if worst is not None and worst >= Level[threshold.name]:
        raise typer.Exit(exits.FAILED)
