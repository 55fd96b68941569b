"""``images`` (``list-images``), ``add-image`` and ``delete-image``: what a controller of Juju's knows of images.

The records lie in the catalogue, where ``find-image`` asks them first, or with ``-d`` in a directory, from which a
controller takes them as its own when it is bootstrapped with ``--metadata-source``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from headwater.cli import output
from headwater.cli.commands.juju_metadata import controller as controllers
from headwater.cli.commands.juju_metadata.generate_image import Endpoint, Series
from headwater.cli.commands.juju_metadata.words import (
    CommandFailed,
    Controller,
    Model,
    WrongOptions,
    answers,
    directory_of,
    refuse_controller,
    tree_in,
)
from headwater.cli.commands.streams.juju import records
from headwater.cli.commands.streams.options import KeyOptions, signing, signing_command
from headwater.cli.output import AsJson
from headwater.streams.format.documents import Products
from headwater.streams.lookup.images import FoundImage
from headwater.streams.writing import feed as feeds
from headwater.streams.writing import image_ids
from headwater.streams.writing.feed import Feed
from headwater.streams.writing.image_ids import ImageId
from headwater.streams.writing.juju_bases import version_of

_COLUMNS = ("Source", "Version", "Arch", "Region", "Image ID", "Stream", "Virt Type", "Storage Type")
_SOURCE = "custom"
Directory = Annotated[
    str, typer.Option("-d", metavar="DIR", help="The metadata in DIR/images, in place of the records in the catalogue.")
]
_FORMATS = ("tabular", "yaml", "json")
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Id of the image in its cloud.")]


def list_images(
    *,
    directory: Directory = "",
    stream: Annotated[str, typer.Option(help="Only of this stream.")] = "",
    region: Annotated[str, typer.Option(help="Only in this region.")] = "",
    series: Annotated[list[str] | None, typer.Option(help="Only of these, with commas; --bases is newer.")] = None,
    bases: Annotated[list[str] | None, typer.Option(help="Only of these, with commas.")] = None,
    arch: Annotated[list[str] | None, typer.Option(help="Only of these, with commas.")] = None,
    virt: Annotated[str, typer.Option("--virt-type", help="Only of this kind of guest.")] = "",
    storage: Annotated[str, typer.Option("--storage-type", help="Only of this kind of root disk.")] = "",
    form: Annotated[str, typer.Option("--format", help="tabular, yaml or json.")] = "tabular",
    file: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Where to write it. Default: here.")] = "",
    controller: Controller = "",
    model: Model = "",
    as_json: AsJson = False,
) -> None:
    """Show the images that a controller knows."""
    with answers(as_json=as_json):
        if form not in _FORMATS:
            raise WrongOptions(f'invalid value "{form}" for option --format: it is one of {", ".join(_FORMATS)}')
        if series and bases:
            raise WrongOptions("cannot specify both bases and series (series is deprecated)")
        refuse_controller(controller, model)
        versions = [version_of(series=each) for each in _listed(series)] + [version_of(each) for each in _listed(bases)]
        wanted = {"Stream": stream, "Region": region, "Virt Type": virt, "Storage Type": storage}
        found = _rows(feeds.read(tree_in(directory_of(directory), "images"))) if directory else _known()
        rows = [
            row
            for row in found
            if all(not value or row[name] == value for name, value in wanted.items())
            and (not versions or row["Version"] in versions)
            and (not arch or row["Arch"] in _listed(arch))
        ]
        if not rows:
            raise CommandFailed("matching cloud image metadata not found")
        rows.sort(key=lambda row: (row["Arch"], row["Region"]))
        rows.sort(key=lambda row: row["Version"], reverse=True)
        _show(rows, "json" if as_json else form, file)


@signing_command
def add_image(
    ids: Ids = None,
    *,
    directory: Directory = "",
    region: Annotated[str, typer.Option("-r", "--region", help="As the Keystone catalogue writes it.")] = "",
    endpoint: Endpoint = None,
    series: Series = "",
    base: Annotated[str, typer.Option("--base", metavar="OS@CHANNEL", help="Such as ubuntu@24.04.")] = "",
    arch: Annotated[str, typer.Option("--arch", "-a", help="Such as amd64 or arm64.")] = "amd64",
    virt: Annotated[str, typer.Option("--virt-type", help="Kind of guest, where images differ in it.")] = "",
    storage: Annotated[str, typer.Option("--storage-type", help="Kind of root disk, where they differ in it.")] = "",
    storage_size: Annotated[
        int, typer.Option("--storage-size", help="MiB; with -d refused, as a feed does not hold it.")
    ] = 0,
    stream: Annotated[str, typer.Option(help="Such as released or daily.")] = image_ids.RELEASED,
    controller: Controller = "",
    model: Model = "",
    keys: KeyOptions,
    as_json: AsJson = False,
) -> None:
    """Make an image known to a controller."""
    with answers(as_json=as_json):
        image = _only_id(ids, "image id must be supplied when adding image metadata", "only one image id can be")
        if series and base:
            raise WrongOptions("cannot specify both base and series (series is deprecated)")
        if storage_size and directory:
            raise WrongOptions(f"--storage-size {storage_size}: a feed has no place for it, and Juju does not read it")
        refuse_controller(controller, model)
        _refuse_key(directory, keys)
        if not series and not base:
            raise CommandFailed(f"missing version: metadata for image {image} not valid")
        version = version_of(base, series)
        if directory:
            described = ImageId(
                id=image,
                region=region,
                endpoints=tuple(endpoint or ()),
                version=version,
                arch=arch,
                stream=stream,
                virt=virt or None,
                root_store=storage or None,
            )
            tree = tree_in(directory_of(directory), "images")
            tree.prepare()
            with signing(keys) as signs:
                feeds.edit(tree, lambda feed: image_ids.replace_with(feed, described), **signs)
            facts: dict[str, Any] = {"tree": tree.place, "product": described.product}
        else:
            record = FoundImage(
                id=image,
                region=region,
                version=version,
                arch=image_ids.arch_of(arch),
                endpoint=next(iter(endpoint or ()), ""),
                virt=virt,
                root_store=storage,
                root_store_size=storage_size,
                stream=stream,
            )
            new, changed = controllers.add(record)
            facts = {"new": new, "changed": changed}
    if as_json:
        output.say_json({**facts, "id": image})


@signing_command
def delete_image(
    ids: Ids = None,
    *,
    directory: Directory = "",
    controller: Controller = "",
    model: Model = "",
    keys: KeyOptions,
    as_json: AsJson = False,
) -> None:
    """Forget an image; one that is not known is fine."""
    with answers(as_json=as_json):
        image = _only_id(ids, "image ID must be supplied when deleting image metadata", "only one image ID can be")
        refuse_controller(controller, model)
        _refuse_key(directory, keys)
        gone = _deleted(directory, image, keys) if directory else controllers.delete(image)
    if as_json:
        output.say_json({"removed": gone})


def _deleted(directory: str, image: str, keys: KeyOptions) -> int:
    tree = tree_in(directory_of(directory), "images")
    if not feeds.read(tree).index.index:  # an empty feed is not written for that
        return 0
    with signing(keys) as signs:
        return len(feeds.edit(tree, lambda feed: image_ids.remove(feed, image), **signs))


def _refuse_key(directory: str, keys: KeyOptions) -> None:
    if not directory and keys != KeyOptions():
        raise WrongOptions(
            "a key signs the feed in a directory, which -d names; records in the catalogue have no signature"
        )


def _only_id(ids: list[str] | None, none: str, several: str) -> str:
    if not ids:
        raise WrongOptions(none)
    if len(ids) > 1:
        raise WrongOptions(f"{several} supplied as an argument to this command")
    return ids[0]


def _listed(given: list[str] | None) -> list[str]:
    return [each for words in given or () for each in words.split(",") if each]


def _known() -> Iterator[dict[str, str]]:
    for record in records.known():
        values = (
            _SOURCE,
            record.version,
            record.arch,
            record.region,
            record.id,
            record.stream,
            record.virt,
            record.root_store,
        )
        yield dict(zip(_COLUMNS, values, strict=True))


def _rows(feed: Feed) -> Iterator[dict[str, str]]:
    for content_id, entry in feed.index.index.items():
        if entry.datatype not in (None, image_ids.DATATYPE):
            continue
        products = feed.products(content_id)
        if products is not None:
            yield from _of_products(products)


def _of_products(products: Products) -> Iterator[dict[str, str]]:
    for place, item in image_ids.items(products):
        product = products.products[place.product]
        if item.id is None:
            continue
        values = (
            _SOURCE,
            item.version or product.version or "",
            item.arch or product.arch or "",
            image_ids.region_of(products, place, item) or "",
            item.id,
            image_ids.stream_of(place.product),
            item.virt or product.virt or products.virt or "",
            item.root_store or product.root_store or products.root_store or "",
        )
        yield dict(zip(_COLUMNS, values, strict=True))


def _show(rows: list[dict[str, str]], form: str, file: str) -> None:
    if form == "tabular":
        widths = [max(len(name), *(len(row[name]) for row in rows)) + 2 for name in _COLUMNS]
        lines = [_COLUMNS, *(tuple(row.values()) for row in rows)]
        text = "\n".join(
            "".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )
    else:
        nested = _nested(rows)
        text = json.dumps(nested) if form == "json" else yaml.safe_dump(nested, sort_keys=False).rstrip("\n")
    if file:
        try:
            Path(file).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise CommandFailed(f"{file}: it cannot be written: {error.strerror}") from error
    else:
        output.say(text)


def _nested(rows: list[dict[str, str]]) -> dict[str, Any]:
    """Return records by source, version, architecture and region."""
    nested: dict[str, Any] = {}
    for row in rows:
        level = nested
        for name in ("Source", "Version", "Arch"):
            level = level.setdefault(row[name], {})
        record = {"image-id": row["Image ID"], "stream": row["Stream"]}
        told = {"virt-type": row["Virt Type"], "storage-type": row["Storage Type"]}
        record |= {name: value for name, value in told.items() if value}
        level.setdefault(row["Region"], []).append(record)
    return nested
