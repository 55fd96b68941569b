"""``generate-image``: the id of an image, for Juju to find in a directory."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.commands.juju_metadata.words import (
    CommandFailed,
    Controller,
    WrongOptions,
    answers,
    directory_of,
    refuse_controller,
    tree_in,
)
from headwater.cli.commands.streams.options import KeyOptions, signing, signing_command
from headwater.cli.output import AsJson
from headwater.errors import HeadwaterError
from headwater.streams.writing import feed as feeds
from headwater.streams.writing import image_ids
from headwater.streams.writing.image_ids import ImageId
from headwater.streams.writing.juju_bases import version_of

Directory = Annotated[str, typer.Option("-d", metavar="DIR", help="Directory of the metadata. Default: this one.")]
Series = Annotated[str, typer.Option("-s", metavar="SERIES", help="Such as noble; --base is the newer form.")]
Base = Annotated[str, typer.Option("--base", metavar="OS@CHANNEL", help="Such as ubuntu@24.04, the default.")]
Region = Annotated[str, typer.Option("-r", "--region", metavar="REGION", help="As the Keystone catalogue writes it.")]
Endpoint = Annotated[
    list[str] | None,
    typer.Option("-u", metavar="URL", help="Identity URL of the cloud; again for each spelling that users have."),
]


@signing_command
def generate_image(
    *,
    directory: Directory = "",
    image: Annotated[str, typer.Option("-i", metavar="ID", help="Id of the image in its cloud.")] = "",
    series: Series = "",
    base: Base = "",
    arch: Annotated[str, typer.Option("-a", metavar="ARCH", help="Such as amd64 or arm64.")] = "amd64",
    region: Region = "",
    endpoint: Endpoint = None,
    stream: Annotated[str, typer.Option(help="Such as released or daily.")] = image_ids.RELEASED,
    virt: Annotated[str, typer.Option("--virt-type", help="Kind of guest, where images differ in it.")] = "",
    storage: Annotated[str, typer.Option("--storage", help="Kind of root disk, where images differ in it.")] = "",
    controller: Controller = "",
    keys: KeyOptions,
    as_json: AsJson = False,
) -> None:
    """Write the metadata of an image into DIR/images, beside what is there."""
    with answers(as_json=as_json, before="image metadata files could not be created: "):
        if series and base:
            raise WrongOptions("cannot specify both base and series (series is deprecated)")
        refuse_controller(controller)
        if series and not as_json:
            output.say_error("WARNING series flag is deprecated, use --base instead")
        described = _described(
            image, series, base, arch=arch, region=region, endpoints=endpoint, stream=stream, virt=virt, storage=storage
        )
        place = directory_of(directory)
        tree = tree_in(place, "images")
        tree.prepare()
        with signing(keys) as signs:
            feeds.edit(tree, lambda feed: image_ids.replace_with(feed, described), **signs)
    written = place / "images" / "streams" / "v1"
    if as_json:
        output.say_json({"directory": str(written), "product": described.product, "id": described.id})
        return
    output.say(
        f"Image metadata files have been written to:\n{written}.\n"
        f"For Juju to use them here: juju bootstrap --metadata-source {place}\n"
        f"For everybody, behind a web server: juju bootstrap --config image-metadata-url=URL of {place / 'images'}"
    )


def _described(
    image: str,
    series: str,
    base: str,
    *,
    arch: str,
    region: str,
    endpoints: list[str] | None,
    stream: str,
    virt: str,
    storage: str,
) -> ImageId:
    """Return the image, or complain of what is missing in the order in which Juju does."""
    try:
        version = version_of(base, series)
    except HeadwaterError as error:
        raise CommandFailed(str(error)) from error
    try:
        return ImageId(
            id=image,
            region=region,
            endpoints=tuple(endpoints or ()),
            version=version,
            arch=arch or "amd64",
            stream=stream or image_ids.RELEASED,
            virt=virt or None,
            root_store=storage or None,
        )
    except HeadwaterError as error:
        raise CommandFailed(str(error)) from error
