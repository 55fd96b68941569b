"""``generate-agent-binaries``, also ``generate-agents`` and ``generate-tools``: what Juju is told of tarballs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.commands.juju_metadata.words import answers, directory_of, tree_in
from headwater.cli.commands.streams.options import KeyOptions, signing, signing_command
from headwater.cli.output import AsJson
from headwater.streams.writing import agents
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.agents import Agent, Described, NoAgents
from headwater.streams.writing.feed import Feed


@signing_command
def generate_agents(
    *,
    directory: Annotated[
        str, typer.Option("-d", metavar="DIR", help="Directory of the metadata. Default: that of Juju's data.")
    ] = "",
    stream: Annotated[str, typer.Option(help="The stream, and the directory of its tarballs.")] = agents.RELEASED,
    clean: Annotated[bool, typer.Option("--clean", help="Forget what is said of the stream before.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Also name a list of mirrors.")] = False,
    prevent_fallback: Annotated[
        bool, typer.Option("--prevent-fallback", help="Always so: only tarballs that are there are described.")
    ] = False,
    keys: KeyOptions,
    as_json: AsJson = False,
) -> None:
    """Write the metadata of the tarballs in DIR/tools/STREAM into DIR/tools."""
    del prevent_fallback  # what is not there is never described
    with answers(as_json=as_json):
        stream = stream or agents.RELEASED
        place = directory_of(directory or _data_of_juju())
        if not as_json:
            output.say(f"Finding agent binaries in {place} for stream {stream}.")
        tree = tree_in(place, "tools")

        def told(path: str) -> None:
            if not as_json:
                output.say(f"Fetching agent binaries to generate hash: {path}")

        found = agents.scan(tree, stream, told)

        def change(feed: Feed) -> Described:
            if not found and (clean or feed.products(agents.content_id_of(stream)) is None):
                raise NoAgents(tree.place)
            if public:
                agents.name_mirrors(feed, stream)
            return agents.describe(feed, stream, found, whole=True, clean=clean)

        with signing(keys) as signs:
            described = feeds.edit(tree, change, **signs)
    say(described, found, as_json=as_json)


def say(described: Described, found: list[Agent], *, as_json: bool) -> None:
    if as_json:
        facts = [{"name": each.item, "path": each.path, "size": each.size, "sha256": each.sha256} for each in found]
        told = {"stream": described.stream, "written": list(described.written), "gone": list(described.gone)}
        output.say_json({**told, "agents": facts})
        return
    for name in described.written:
        output.say(f"{name} is described")
    for name in described.gone:
        output.say(f"{name} is gone")
    if not described.written and not described.gone:
        output.say(f'Metadata for stream "{described.stream}" unchanged')


def _data_of_juju() -> str:
    """Return where Juju keeps its data, as it looks for it."""
    if given := os.environ.get("JUJU_DATA"):
        return given
    around = os.environ.get("XDG_DATA_HOME")
    return str((Path(around) if around else Path.home() / ".local" / "share") / "juju")
