"""``headwater config``: the settings, with where each came from."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from headwater.cli import options
from headwater.cli.commands.sample import sample_text
from headwater.config import KeyPath, Loaded, secret_free
from headwater.database.connecting import redacted
from headwater.server.settings import Settings

app = typer.Typer(help="Settings.", no_args_is_help=True)


@app.command()
def check() -> None:
    """Say whether the settings are right; nothing is started."""
    options.sources().load()
    sys.stdout.write("the settings are right\n")


@app.command()
def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every setting, its value and where it came from; secrets print as ***."""
    rows = list(_rows(options.sources().load()))
    if as_json:
        document = [{"key": ".".join(path), "value": value, "from": origin} for path, value, origin in rows]
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    table = Table("setting", "value", "from")
    for path, value, origin in rows:
        table.add_row(".".join(path), json.dumps(value), origin)
    Console(soft_wrap=not sys.stdout.isatty()).print(table)


def _rows(loaded: Loaded[Settings]) -> list[tuple[KeyPath, Any, str]]:
    rows: list[tuple[KeyPath, Any, str]] = []

    def walk(value: Any, path: KeyPath) -> None:
        if isinstance(value, BaseModel):
            for name in type(value).model_fields:
                walk(getattr(value, name), (*path, name))
        elif isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, (*path, str(name)))
        else:
            rows.append((path, _shown(path, value), loaded.origin(path)))

    walk(loaded.settings, ())
    return rows


def _shown(path: KeyPath, value: Any) -> Any:
    if path == ("database", "url") and value is not None:
        return redacted(value)
    return secret_free(value)


@app.command()
def sample() -> None:
    """Print a settings file with every key, its meaning and its default, all commented out."""
    sys.stdout.write(sample_text())
