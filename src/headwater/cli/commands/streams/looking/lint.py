"""``headwater streams lint``: what each consumer sees in a feed, what it does not see, and why."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from headwater.cli import output
from headwater.cli.commands.streams.options import CaFile, Insecure, TreeName, tree_of
from headwater.cli.findings import Format, FormatOption, LevelOption, Threshold, exit_for
from headwater.cli.output import AsJson
from headwater.findings import Level
from headwater.streams.lint.check import EVERYONE, Found, Report
from headwater.streams.lint.check import lint as linted
from headwater.streams.lint.consumers.consumer import NOTHING
from headwater.streams.lint.consumers.registry import CONSUMERS, named
from headwater.streams.lint.sarif import sarif
from headwater.streams.signing.certificates import certificates

_SHOWN: Final = 5  # places of one rule in one file, in text
# What people copy from a browser names the index; the tree begins above.
_INDEX: Final = re.compile(r"(^|/)streams/v1(/[^/]*\.s?json|/)?$")


def lint(
    tree: TreeName,
    *,
    consumer: Annotated[
        list[str] | None,
        typer.Option(
            "--consumer",
            help=f"Whose eyes to use; may be repeated. {', '.join(each.name for each in CONSUMERS)}. Default: all.",
        ),
    ] = None,
    level: LevelOption = Threshold.ERROR,
    form: FormatOption = Format.TEXT,
    files: Annotated[
        bool, typer.Option("--files", help="Look for each file, and whether it has the size that is told.")
    ] = False,
    keyring: Annotated[
        list[Path] | None,
        typer.Option(
            "--keyring", metavar="FILE", help="OpenPGP keys that readers hold: verify signatures; again for more files."
        ),
    ] = None,
    cafile: CaFile = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Say what each consumer sees in a feed, what it does not see, why, and what to do about it."""
    chosen = named(consumer) if consumer else ()
    trusted = [certificate for file in keyring for certificate in certificates(file)] if keyring else None
    with (
        tree_of(root_of(tree), cafile=cafile, insecure=insecure) as feed,
        output.progress("consumers", len(chosen or CONSUMERS)) as told,
    ):
        report = linted(feed, chosen, files=files, trusted=trusted, told=told)
    if as_json or form is Format.JSON:
        output.say_json(report.to_dict())
    elif form is Format.SARIF:
        output.say_json(sarif(report))
    else:
        _say(report)
    exit_for(report.worst(), level)


def root_of(tree: str) -> str:
    """Return the tree of what may be the address of its index."""
    return _INDEX.sub("", tree) or "."


def _say(report: Report) -> None:
    rows = []
    for verdict in report.verdicts:
        facts = verdict.to_dict()
        rows.append(
            [verdict.consumer, str(facts["images_seen"]), str(facts["images_missed"]), _why(verdict.consumer, report)]
        )
    output.say_table(["Consumer", "Sees", "Does not see", "Why"], rows)
    groups: dict[Any, list[Found]] = {}
    for found in report.findings:
        finding = found.finding
        if finding.rule is NOTHING and finding.level is Level.NOTE:
            continue  # the table says it
        key = (finding.rule.id, finding.level, finding.file, found.consumers)
        groups.setdefault(key, []).append(found)
    for group in groups.values():
        _say_group(group)
    if report.more:
        output.say(f"\nand {report.more} more findings of these rules")


def _why(consumer: str, report: Report) -> str:
    """Return the rules by which a consumer loses something, the worst first."""
    ids = [
        found.finding.rule.id
        for found in report.findings
        if consumer in found.consumers and (found.finding.level is Level.ERROR or found.finding.rule is NOTHING)
    ]
    return ", ".join(list(dict.fromkeys(ids))[:4])


def _say_group(group: list[Found]) -> None:
    first = group[0]
    finding = first.finding
    who = "" if first.consumers == (EVERYONE,) else f" [{', '.join(first.consumers)}]"
    output.say(f"\n{finding.level} {finding.rule.id}{who}")
    for found in group[:_SHOWN]:
        place = f"{found.finding.file}{': ' + found.finding.at if found.finding.at else ''}"
        output.say(f"  {place}: {found.finding.sentence}")
    if len(group) > _SHOWN:
        output.say(f"  and {len(group) - _SHOWN} more places in {finding.file}")
    output.say(f"  fix: {finding.fix}")
