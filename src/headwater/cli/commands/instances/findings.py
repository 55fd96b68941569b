"""What is found in instances and their user data, as people and programs read it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import options, output
from headwater.cli.findings import Format
from headwater.instances.lint.check import sarif
from headwater.instances.lint.rules import Finding
from headwater.instances.user_data.cloud_config.schema import Schema, installed

SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema",
        metavar="FILE",
        help="cloud-init's schema of cloud-configs. Default: user_data.cloud_config_schema, or of what is installed.",
    ),
]


def schema_of(file: Path | None) -> Schema | None:
    """Return the schema that the option or the settings name, or the installed one; ``None``: there is none."""
    found = file or options.sources().load().settings.user_data.cloud_config_schema or installed()
    return None if found is None else Schema(found)


def say_findings(found: Sequence[Finding], form: Format) -> None:
    """Print findings in the form that was chosen."""
    if form is Format.JSON:
        output.say_json({"findings": [each.to_dict() for each in found]})
    elif form is Format.SARIF:
        output.say_json(sarif(found))
    elif not found:
        output.say("nothing found")
    else:
        output.say("\n\n".join(map(_text, found)))


def _text(finding: Finding) -> str:
    who = finding.consumer if finding.versions == "all" else f"{finding.consumer}, {finding.versions}"
    lines = [f"{finding.level} {finding.rule} [{who}]", f"  {finding.instance}: {finding.field}: {finding.sentence}"]
    if finding.why != finding.source:
        lines.append(f"  why: {finding.why}")
    return "\n".join([*lines, f"  fix: {finding.fix}"])
