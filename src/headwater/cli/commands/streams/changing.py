"""``headwater streams add-image|remove|prune|list``: what stands in a feed, changed and shown."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headwater.cli import output
from headwater.cli.commands.streams.options import (
    CaFile,
    Grace,
    Insecure,
    KeyOptions,
    TreeName,
    signing,
    signing_command,
    tree_of,
)
from headwater.cli.output import AsJson
from headwater.streams.format.documents import INDEX_FORMAT
from headwater.streams.format.layout import UNSIGNED_INDEXES
from headwater.streams.signing.reading import NoStart, is_there
from headwater.streams.writing import deletions, image_ids, pruning
from headwater.streams.writing import feed as feeds
from headwater.streams.writing.feed import Feed
from headwater.streams.writing.image_ids import ImageId
from headwater.streams.writing.merging import Place

ContentId = Annotated[str, typer.Option("--content-id", help="Of the products file that the image stands in.")]


@signing_command
def add_image(
    tree: TreeName,
    image: Annotated[str, typer.Argument(metavar="ID", help="Id of the image in its cloud.")],
    *,
    region: Annotated[str, typer.Option(help="As the Keystone catalogue writes it.")],
    endpoint: Annotated[
        list[str], typer.Option(help="Identity URL of the region; again for each spelling that users have.")
    ],
    version: Annotated[str, typer.Option(help="Of the operating system, such as 24.04.")],
    arch: Annotated[str, typer.Option(help="Such as amd64 or arm64.")] = "amd64",
    stream: Annotated[str, typer.Option(help="Such as released or daily.")] = image_ids.RELEASED,
    virt: Annotated[str | None, typer.Option(help="Kind of guest, where images differ in it.")] = None,
    root_store: Annotated[str | None, typer.Option(help="Kind of root disk, where images differ in it.")] = None,
    release: Annotated[str | None, typer.Option(help="Code name, such as noble.")] = None,
    aliases: Annotated[str | None, typer.Option(help="Other names, with commas between.")] = None,
    label: Annotated[str | None, typer.Option(help="Such as release or daily.")] = None,
    content_id: ContentId = image_ids.CONTENT_ID,
    cloudname: Annotated[str, typer.Option(help="Name of the cloud, which readers only show.")] = "custom",
    version_name: Annotated[
        str | None, typer.Option(help="Name of the image's version, which sorts as text. Default: today's date.")
    ] = None,
    keys: KeyOptions,
    as_json: AsJson = False,
) -> None:
    """Put the id of an image into a feed, for Juju and the simplestreams tools."""
    described = ImageId(
        id=image,
        region=region,
        endpoints=tuple(endpoint),
        version=version,
        arch=arch,
        stream=stream,
        virt=virt,
        root_store=root_store,
        release=release,
        aliases=aliases,
        label=label,
    )

    def change(feed: Feed) -> tuple[Place, list[str]]:
        instead = image_ids.same_as(feed, described, content_id=content_id, version=version_name)
        place = image_ids.add(feed, described, content_id=content_id, version=version_name, cloudname=cloudname)
        return place, instead

    with tree_of(tree) as opened, signing(keys) as signs:
        place, instead = feeds.edit(opened, change, **signs)
        if as_json:
            output.say_json({"tree": opened.place, **_facts(place), "replaced": instead})
        else:
            output.say(f"{opened.place}: {image} is {place.item} of {place.product}, version {place.version}")
        for each in instead if not as_json else ():
            output.say(f"- in place of {each}, which Juju cannot tell from it; --virt or --root-store tell them apart")


@signing_command
def remove(
    tree: TreeName,
    name: Annotated[str, typer.Argument(metavar="ID|PRODUCT", help="Id of an image in its cloud, or a product.")],
    *,
    region: Annotated[str | None, typer.Option(help="Of an image id: only in this region.")] = None,
    version_name: Annotated[str | None, typer.Option(help="Of a product: only this version.")] = None,
    item: Annotated[str | None, typer.Option(help="Of a product: only this item.")] = None,
    grace: Grace = deletions.GRACE_S,
    keys: KeyOptions,
    as_json: AsJson = False,
) -> None:
    """Take an image or a product out of a feed; one that is not in it is fine."""

    def change(feed: Feed) -> list[Place]:
        gone = pruning.remove(feed, name, version=version_name, item=item) if region is None else []
        return gone if gone or version_name or item else image_ids.remove(feed, name, region=region)

    with tree_of(tree) as opened, signing(keys) as signs:
        gone, deleted = deletions.edit(opened, change, purpose="headwater streams remove", grace_s=grace, **signs)
        place = opened.place
    if as_json:
        output.say_json({"tree": place, "removed": [_facts(each) for each in gone], "deleted": deleted})
        return
    where = [f"- {each.product}, version {each.version}, item {each.item}" for each in gone]
    output.say("\n".join([f"{place}: {name} is gone from", *where] if gone else [f"{name} is not in it"]))
    _say_deleted(deleted)


@signing_command
def prune(
    tree: TreeName,
    *,
    keep: Annotated[int, typer.Option(min=1, help="How many versions of each product stay.")] = 3,
    content_id: Annotated[list[str] | None, typer.Option(help="Only products of this content id.")] = None,
    grace: Grace = deletions.GRACE_S,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    keys: KeyOptions,
    as_json: AsJson = False,
) -> None:
    """Take all but the newest versions of each product out of a feed, and files of before when their time is over."""
    deleted: list[str] = []
    with tree_of(tree) as opened, signing(keys) as signs:
        if dry_run:
            gone = pruning.prune(feeds.read(opened), keep, content_id)
        else:
            gone, deleted = deletions.edit(
                opened,
                lambda feed: pruning.prune(feed, keep, content_id),
                purpose="headwater streams prune",
                grace_s=grace,
                **signs,
            )
    if as_json:
        removed = [{"product": product, "version": version} for product, version in gone]
        output.say_json({"removed": removed, "deleted": deleted})
    else:
        would = "would go" if dry_run else "went"
        output.say(
            "\n".join([f"{product}, version {version} {would}" for product, version in gone] or ["nothing goes"])
        )
        _say_deleted(deleted)


def list_items(
    tree: TreeName,
    *,
    cafile: CaFile = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Show every item of a feed; signatures are not looked at."""
    with tree_of(tree, cafile=cafile, insecure=insecure) as opened:
        feed = feeds.read(opened)
        if not any(is_there(opened, path) for path in UNSIGNED_INDEXES):
            raise NoStart(opened.place, UNSIGNED_INDEXES)
        rows = [
            (content_id, place, item)
            for content_id, entry in feed.index.index.items()
            if entry.format != INDEX_FORMAT and (products := feed.products(content_id)) is not None
            for place, item in image_ids.items(products)
        ]
        further = {name: entry.path for name, entry in feed.index.index.items() if entry.format == INDEX_FORMAT}
    for name, path in further.items():
        output.say_error(f"{name} leads to another index, {path}: list does not follow it, query does")
    if as_json:
        output.say_json_list(
            {"content_id": content_id, **_facts(place), **item.to_dict()} for content_id, place, item in rows
        )
        return
    output.say_table(
        ("product", "version", "item", "what"),
        ((place.product, place.version, place.item, item.id or item.path or "") for _, place, item in rows),
    )


def _facts(place: Place) -> dict[str, Any]:
    return {"product": place.product, "version": place.version, "item": place.item}


def _say_deleted(paths: list[str]) -> None:
    for path in paths:
        output.say(f"{path} is deleted, as nothing names it any more")
