"""What a change of one public image costs the live feed, beside how many there are.

In this process, on SQLite: a server's other work would drown it. Again and again one image is changed and one document
asked for, as the first request after the change does; what is counted is the processor time of the asking thread.

The files of all images are in the feed too: their document is some four times as long as that of the ids.

The signed document is signed by a process beside it, whose time counts apart: it costs, and holds up nobody.
"""

from __future__ import annotations

import contextlib
import resource
import time
import uuid
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pysequoia
from sqlalchemy import Connection
from tools.benches.plan import Plan
from tools.benches.results import Results

from contracts.unheard import UnheardImages, commit
from headwater.database import schema
from headwater.database.engine import Database
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint, FingerprintRows, replaced
from headwater.images.catalogue.images import created
from headwater.images.catalogue.public import PublicImageRows
from headwater.images.model import Image, Status, Visibility
from headwater.streams.format.documents import signed_name
from headwater.streams.live.feed import LiveFeed, live_feed
from headwater.streams.live.files.documents import DOCUMENT
from headwater.streams.live.files.placement import FilePlacement, made_metadata, place_files
from headwater.streams.settings import StreamsSettings

BENCH = "feed"
_MOST = 10_000
_CHANGES = 10  # in a round
_PRODUCTS = 40
_TARGET_MS = 10


def measure(plan: Plan, results: Results) -> None:
    """Fill in the cost of a change, at the smallest catalogue's size and at that of a large cloud."""
    room = plan.room(BENCH)
    for count in sorted({plan.catalogues[0], min(_MOST, plan.catalogues[-1])}):
        with contextlib.closing(Database(f"sqlite:///{room / f'{count}.db'}")) as database:
            _measure(database, _key(room), count, plan, results)


def _measure(database: Database, key: Path, count: int, plan: Plan, results: Results) -> None:
    schema.upgrade(database)
    images = [_image(number) for number in range(count)]
    commit(database, *(created(image, fresh_id=True) for image in images))
    fingerprints = FingerprintRows(database)
    _hashed(database, images)
    catalogue, settings = UnheardImages(database), StreamsSettings(signing_key=key)
    names = {
        "products document": settings.products_name,
        "index": "index.json",
        "document of files": DOCUMENT,
        "signed products document": signed_name(settings.products_name),
    }
    runs: dict[str, list[float]] = {what: [] for what in names}
    end = f"at {count} public images"
    signed_before_s = _ended_processes_s()
    with contextlib.closing(live_feed(PublicImageRows(database), settings, fingerprints=fingerprints)) as feed:
        everything = _spent_ms(feed, settings.products_name)
        for number in range(plan.rounds * _CHANGES):
            for what, spent in runs.items():
                catalogue.change(
                    images[number % count].id, lambda image: replace(image, updated_at=image.updated_at + 1)
                )
                spent.append(_spent_ms(feed, names[what]))
    signing_ms = 1000 * (_ended_processes_s() - signed_before_s) / (plan.rounds * _CHANGES)
    results.add(BENCH, f"products document, all read, {end}", "ms", [everything])
    results.add(BENCH, f"the process that signs, each time, {end}", "ms", [signing_ms])
    for what, spent in runs.items():
        figure = results.add(BENCH, f"{what} after a change, {end}", "ms", spent)
        results.aim(BENCH, f"{what} after a change, {end}", figure.median, "under", _TARGET_MS, "ms")


def _key(room: Path) -> Path:
    """Return the file of a signing key."""
    file = room / "key.asc"
    file.write_text(str(pysequoia.Tsk.generate("Bench <bench@example.test>")))
    return file


def _ended_processes_s() -> float:
    """Return the processor time of the processes that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _spent_ms(feed: LiveFeed, name: str) -> float:
    started = time.thread_time()
    feed.document(name)
    return 1000 * (time.thread_time() - started)


def _image(number: int) -> Image:
    """Return an image of one of some products, as a cloud's builds of each day make them."""
    return Image(
        id=str(uuid.UUID(int=number * 7919 << 64 | number)),
        created_at=1_600_000_000_000_000 + number * 3_600_000_000,
        updated_at=1_600_000_000_000_000 + number * 3_600_000_000,
        name=f"build-{number}",
        status=Status.ACTIVE,
        visibility=Visibility.PUBLIC,
        disk_format="qcow2",
        container_format="bare",
        size=1 << 30,
        os_hash_algo="sha512",
        os_hash_value=f"{number:0128x}",
        properties={
            "os_distro": "debian",
            "os_version": str(number % _PRODUCTS),
            "architecture": "x86_64",
            "build": f"{number:08d}",
        },
    )


def _hashed(database: Database, images: Iterable[Image]) -> None:
    """Let the fingerprints of images be known."""
    found = [_fingerprint(image) for image in images]

    def work(connection: Connection) -> None:
        for each in found:
            replaced(connection, each)

    database.write(work)


def _fingerprint(image: Image) -> Fingerprint:
    """Return what a pass over the image's data would find, made up."""
    at = place_files(image)
    assert isinstance(at, FilePlacement)
    return Fingerprint(
        image_id=image.id,
        data_hash=image.os_hash_value or "",
        sha256=f"{image.created_at:064x}",
        product=at.product_id,
        metadata=made_metadata(image, at),
        combined=f"{image.created_at + 1:064x}",
    )
