"""``headwater policy``: what callers may do."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import exits, options, output
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.images.settings import ImagesSettings
from headwater.server.apis.policies import BY_NAME, RULES

app = typer.Typer(help="What callers may do.", no_args_is_help=True)


@app.command()
def sample(as_json: AsJson = False) -> None:
    """Print a policy file with every rule, what it guards and its default, all commented out."""
    if as_json:
        output.say_json([{"rule": rule.name, "guards": rule.guards, "default": rule.check} for rule in RULES])
    else:
        output.say(sample_text())


def sample_text() -> str:
    """Return the sample policy file; with the comment signs taken off it says what is built in."""
    lines = [
        "# What callers may do. Every rule is optional; what stands here is its default.",
        "# Section [policy], key 'file' of the settings names this file; a change counts within a second or two.",
    ]
    for rule in RULES:
        lines += ["", f"# {rule.guards[:1].upper()}{rule.guards[1:]}", f'#"{rule.name}": {json.dumps(rule.check)}']
    return "\n".join(lines)


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Option("--file", help="The policy file. Default: the one that the settings name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a policy file can be used, and what in it is probably not meant (exit code 1)."""
    from headwater.identity.policy.file import read_policy, warnings  # noqa: PLC0415 - slow, and for this command only

    everything = options.sources().load().settings
    settings = everything.policy
    file = file or settings.file
    if file is None:
        raise SettingsError("there is no policy file: give --file, or set section [policy], key 'file'")
    try:
        entries = read_policy(file, BY_NAME, remote_checks=settings.remote_checks)
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}") from error
    found = list(warnings(entries, BY_NAME, _asked_by_properties(everything.images, entries)))
    if as_json:
        warned = [{"line": line, "rule": rule, "message": message} for line, rule, message in found]
        output.say_json({"file": str(file), "rules": len(entries), "warnings": warned})
    else:
        for line, rule, message in found:
            output.say(f"{file}, line {line}, rule {rule!r}: {message}")
        output.say(f"{file}: {len(entries)} rules, {len(found)} warnings")
    if found:
        raise typer.Exit(exits.FAILED)


def _asked_by_properties(settings: ImagesSettings, entries: Collection[str]) -> Collection[str]:
    """Return the rules that protected properties ask."""
    file = settings.property_protection_file
    if file is None or settings.property_protection_rule_format != "policies":
        return ()
    from headwater.images.properties.guard import read_file  # noqa: PLC0415 - for this command only

    try:
        return read_file(file, "policies", {*entries, *BY_NAME}).rules
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}") from error
