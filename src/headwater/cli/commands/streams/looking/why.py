"""``headwater streams why``: what the live feed says of an image, read from the catalogue; no server needs to run."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli import options, output
from headwater.cli.catalogue import ImagesByName, opened
from headwater.cli.commands.streams.looking.offline import offline_feed
from headwater.cli.output import AsJson
from headwater.images.catalogue.images import ImageRows
from headwater.streams.live.files.listing import FileListing
from headwater.streams.live.listing import Listing


def why(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="Name or id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say where an image stands in the live feed, or every reason why it is not listed."""
    settings = options.sources().load().settings
    with opened() as database:
        image_id, _ = ImagesByName(database).find(image)
        found = ImageRows(database).get(image_id)
        feed = offline_feed(database, settings)
        listing, files = feed.listing(found), feed.file_listing(found)
    if as_json:
        output.say_json({**listing.to_dict(), "files": files.to_dict()})
    else:
        output.say(f"{_told(listing)}\n{_told_of_files(files)}")


def _told(listing: Listing) -> str:
    facts = listing.to_dict()
    if not facts["listed"]:
        return f"{listing.image.id} is not listed:\n" + "\n".join(f"- {reason}" for reason in listing.reasons)
    newest = facts["newest"]
    chosen = "it is the one that Juju takes" if newest == listing.image.id else f"Juju takes a newer one, {newest}"
    return (
        f"{listing.image.id} is listed; {chosen}\n"
        f"- product {facts['product']}\n- version {facts['version']}\n- virt {facts['virt']}"
    )


def _told_of_files(listing: FileListing) -> str:
    facts = listing.to_dict()
    if not facts["listed"]:
        return "Its files are not listed for LXD and Incus:\n" + "\n".join(f"- {reason}" for reason in listing.reasons)
    newest, aliases = facts["newest"], ", ".join(facts["aliases"])
    chosen = "aliases lead to it" if newest == listing.image.id else f"aliases lead to a newer one, {newest}"
    return (
        f"Its files are listed for LXD and Incus; {chosen}\n"
        f"- product {facts['product']}\n- {facts['type']} {facts['fingerprint']}\n- aliases {aliases}"
    )
