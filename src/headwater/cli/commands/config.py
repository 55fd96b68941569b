"""``headwater config``: the settings, with where each came from."""

from __future__ import annotations

import json
from typing import Any

import typer
from pydantic import BaseModel

from headwater.cli import exits, options, output
from headwater.cli.commands.sample import sample_entries, sample_text
from headwater.cli.output import AsJson
from headwater.config import KeyPath, Loaded, secret_free
from headwater.database.connecting import redacted
from headwater.server.settings import Settings

app = typer.Typer(help="Settings.", no_args_is_help=True)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Say whether the settings are right, and the files that they name; nothing is started, made or asked.

    What a start would say of files that are missing, unreadable or malformed is printed, and the exit code is 2.
    """
    settings = options.sources().load().settings
    from headwater.server.named_files import problems  # noqa: PLC0415 - the other commands do without the server

    found = problems(settings)
    if as_json:
        output.say_json({"right": not found, "problems": found})
    elif not found:
        output.say("the settings are right, and so are the files that they name")
    else:
        for problem in found:
            output.say_error(f"headwater: {problem}")
    if found:
        raise typer.Exit(exits.WRONG_USE)


@app.command()
def show(as_json: AsJson = False) -> None:
    """Print every setting, its value and where it came from; secrets print as ***."""
    rows = _rows(options.sources().load())
    if as_json:
        output.say_json([{"key": ".".join(path), "value": value, "from": origin} for path, value, origin in rows])
    else:
        output.say_table(
            ("setting", "value", "from"), [(".".join(path), json.dumps(value), origin) for path, value, origin in rows]
        )


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
def sample(as_json: AsJson = False) -> None:
    """Print a settings file with every key, its meaning and its default, all commented out."""
    if as_json:
        output.say_json(sample_entries())
    else:
        output.say(sample_text())
