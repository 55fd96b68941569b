"""``headwater streams add-agent``: tarballs of Juju's agents, put into a feed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.commands.streams import told_of_maas
from headwater.cli.commands.streams.options import (
    KeyOptions,
    TreeName,
    signing,
    signing_command,
    tree_of,
)
from headwater.cli.output import AsJson
from headwater.streams.writing import agents, deletions
from headwater.streams.writing.agents import Agent, Described
from headwater.streams.writing.feed import Feed


@signing_command
def add_agent(
    tree: TreeName,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE|DIRECTORY...",
            help="juju-VERSION-OS-ARCH.tgz, or directories of them; one named proposed is of that stream.",
        ),
    ],
    *,
    stream: Annotated[str, typer.Option(help="Of tarballs that are in no directory of a stream.")] = agents.RELEASED,
    keys: KeyOptions,
    as_json: AsJson = False,
) -> None:
    """Put tarballs of agents into a feed, for Juju; those that are in it and are not given stay."""
    wanted: dict[str, list[Path]] = {}
    for file in files:
        for name, found in (agents.of_directory(file, stream) if file.is_dir() else {stream: [file]}).items():
            wanted.setdefault(name, []).extend(found)
    total = sum(len(found) for found in wanted.values())
    with output.progress("brought", total) as shown, tree_of(tree) as opened, signing(keys) as signs:
        brought: list[Path] = []

        def told(file: Path) -> None:
            brought.append(file)
            shown(len(brought))

        def change(feed: Feed) -> tuple[list[Described], told_of_maas.Warnings]:
            known: dict[str, list[Agent]] = {
                name: agents.bring(feed.tree, found, name, told) for name, found in wanted.items()
            }
            described = [agents.describe(feed, name, found, whole=False) for name, found in known.items()]
            return described, told_of_maas.warnings_of(feed)

        (described, warnings), _ = deletions.edit(opened, change, purpose="headwater streams add-agent", **signs)
        place = opened.place
    if as_json:
        facts = [{"stream": each.stream, "written": list(each.written)} for each in described]
        output.say_json({"tree": place, "files": total, "streams": facts, "warnings": warnings})
        return
    for each in described:
        names = ", ".join(each.written) or "nothing is new"
        output.say(f"{place}: stream {each.stream}: {names}")
    told_of_maas.say(warnings)
