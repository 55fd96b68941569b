"""``headwater cache``: the copies of images on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from headwater.cli import options, output
from headwater.cli.catalogue import ImagesByName, opened
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.images.cache.directory import CacheDirectory
from headwater.images.cache.keeping import CacheKeeping
from headwater.images.catalogue.images import ImageRows

app = typer.Typer(help="Copies of images on this machine.", no_args_is_help=True)

Image = Annotated[str, typer.Argument(help="Id or name of an image.")]


@app.callback()
def cache() -> None:
    """Copies of images on this machine. To be run on it, by the user that runs Headwater."""


class NoCacheHere(SettingsError):
    """The settings name no directory for a cache."""

    def __init__(self) -> None:
        super().__init__("there is no cache here: give section [cache] a 'directory'")


@contextmanager
def _cache() -> Iterator[tuple[CacheKeeping, ImagesByName]]:
    """Open the cache that the settings name, beside whatever service uses it, and the images of the catalogue."""
    settings = options.sources().load().settings.cache
    if settings.directory is None:
        raise NoCacheHere
    with opened() as database:
        directory = CacheDirectory(settings.directory, settings.max_size)
        yield CacheKeeping(directory, ImageRows(database)), ImagesByName(database)


@app.command("list")
def show(as_json: AsJson = False) -> None:
    """List what is in the cache, what was read last at the end, and what is queued for it."""
    with _cache() as (keeping, _):
        images, queued = [each.cached for each in keeping.images()], keeping.directory.queued()
    if as_json:
        output.say_json({"cached": [asdict(each) for each in images], "queued": queued})
        return
    rows = [(each.image_id, str(each.size), str(each.hits), _time(each.last_accessed)) for each in images]
    output.say_table(("image", "bytes", "hits", "read last"), [*rows, *((each, "", "", "queued") for each in queued)])


@app.command()
def queue(image: Image, as_json: AsJson = False) -> None:
    """Let a running service fetch an image into the cache."""
    with _cache() as (keeping, images):
        image_id, name = images.find(image)
        keeping.queue_id(image_id)
    _say({"queued": image_id}, f"queued {name}", as_json=as_json)


@app.command()
def delete(image_id: Annotated[str, typer.Argument(help="Id of an image.")], as_json: AsJson = False) -> None:
    """Take an image out of the cache and its queue."""
    with _cache() as (keeping, _):
        keeping.delete(image_id.lower())
    _say({"deleted": image_id.lower()}, f"deleted {image_id.lower()}", as_json=as_json)


@app.command()
def clear(
    target: Annotated[
        Literal["cache", "queue"] | None, typer.Option("--target", help="Only this. Default: both.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Empty the cache and its queue."""
    with _cache() as (keeping, _):
        removed = keeping.clear(target)
    _say(asdict(removed), f"removed {removed.files} images, {removed.bytes} bytes", as_json=as_json)


@app.command()
def prune(as_json: AsJson = False) -> None:
    """Remove what no image has any more, what broken fetches left, and then what was not read for longest.

    A running service does so by itself from time to time.
    """
    with _cache() as (keeping, _):
        removed = keeping.prune()
    _say(asdict(removed), f"removed {removed.files} images, {removed.bytes} bytes", as_json=as_json)


def _say(document: object, sentence: str, *, as_json: bool) -> None:
    if as_json:
        output.say_json(document)
    else:
        output.say(sentence)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
