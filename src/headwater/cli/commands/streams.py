"""``headwater streams``: what the live feed says, read from the catalogue itself; no server needs to run."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli import options, output
from headwater.cli.catalogue import ImagesByName, opened
from headwater.cli.output import AsJson
from headwater.images.catalogue.images import ImageCatalogue
from headwater.images.catalogue.public import PublicImages
from headwater.streams.listing import Listing
from headwater.streams.live import LiveFeed

app = typer.Typer(no_args_is_help=True, help="The live feed of image ids.")


@app.callback()
def streams() -> None:
    """Keep the name of a command, however many there are."""


@app.command()
def why(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="Name or id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say where an image stands in the live feed, or every reason why it is not listed."""
    settings = options.sources().load().settings.streams
    with opened() as database:
        catalogue = ImageCatalogue(database)
        image_id, _ = ImagesByName(database).find(image)
        listing = LiveFeed(PublicImages(database), settings).listing(catalogue.get(image_id))
    if as_json:
        output.say_json(listing.to_dict())
    else:
        output.say(_told(listing))


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
