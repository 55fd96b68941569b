"""``headwater streams explain``: in which feeds an image is, live or in trees, and what keeps it out of the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.cli import options, output
from headwater.cli.catalogue import ImagesByName, opened
from headwater.cli.commands.streams.looking.explain_in_trees import explain_in_trees
from headwater.cli.commands.streams.looking.offline import offline_feed
from headwater.cli.commands.streams.options import CaFile, Insecure
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.images.catalogue.images import ImageRows
from headwater.streams.live.standing import Standing, in_image_files, in_image_ids


def explain(
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE", help="Name or id; with --tree an id in its cloud, alias, product, path or fingerprint."
        ),
    ],
    *,
    trees: Annotated[
        list[str] | None,
        typer.Option("--tree", metavar="TREE", help="Look in this feed instead of the live ones; again for more."),
    ] = None,
    consumer: Annotated[
        list[str] | None, typer.Option("--consumer", help="With --tree: whose view; again for more. Default: all.")
    ] = None,
    keyring: Annotated[
        list[Path] | None, typer.Option("--keyring", metavar="FILE", help="With --tree: keys that readers hold.")
    ] = None,
    cafile: CaFile = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Say in which feeds an image is, and for each where it is not, which property is missing or wrong, and the fix."""
    if trees:
        explain_in_trees(image, trees, consumer, keyring, cafile=cafile, insecure=insecure, as_json=as_json)
        return
    if consumer or keyring:
        raise SettingsError("--consumer and --keyring: name a feed with --tree as well")
    settings = options.sources().load().settings
    with opened() as database:
        image_id, _ = ImagesByName(database).find(image)
        found = ImageRows(database).get(image_id)
        feed = offline_feed(database, settings)
        standings = [in_image_ids(feed.listing(found)), in_image_files(feed.file_listing(found))]
    if as_json:
        output.say_json({"image_id": image_id, "feeds": [each.to_dict() for each in standings]})
        return
    for standing in standings:
        output.say(_told(standing))


def _told(standing: Standing) -> str:
    facts = standing.facts
    head = f"{standing.feed} ({standing.readers}): {'listed' if standing.is_listed else 'not listed'}"
    if standing.is_listed:
        newest = standing.newest if facts["newest"] == standing.image_id else f"older than {facts['newest']}"
        return f"{head}\n  {_place(facts)}\n  {newest}"
    lines = [head]
    for each in standing.obstacles:
        value = "not set" if each.value is None else each.value
        lines += [f"  {each.name} ({value}): {each.reason}", f"    fix: {each.fix}"]
    return "\n".join(lines)


def _place(facts: Mapping[str, Any]) -> str:
    place = f"{facts['product']}, version {facts['version']}"
    if "fingerprint" in facts:
        aliases = ", ".join(facts["aliases"])
        return f"{place}, {facts['type']}\n  fingerprint {facts['fingerprint']}\n  aliases {aliases}"
    return f"{place}, virt {facts['virt']}, stream {facts['stream']}"
