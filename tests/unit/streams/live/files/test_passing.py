"""Hashes that an upload makes of its data on the way."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.image_catalogue import add
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardUploads
from headwater.database.engine import Database
from headwater.identity.caller import OPERATOR
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint, FingerprintRows
from headwater.images.catalogue.public import PublicImageRows
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import Pools, UploadSession
from headwater.images.data.uploads import Uploads
from headwater.images.model import Image, Status, Visibility
from headwater.images.settings import ImagesSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.streams.live.feed import LiveFeed
from headwater.streams.live.files.passing import of_upload
from headwater.streams.settings import StreamsSettings
from headwater.threads import Pool
from unit.images.inspection.disk_images import qcow2
from unit.streams.catalogue import image

DISK = qcow2()
SQUASHFS = b"hsqs" + b"a file system" * 500


@pytest.fixture
def uploads(database: Database) -> Iterator[Uploads]:
    store = MemoryStore("memory", MemoryStoreSettings(type="memory"))
    pools = Pools(Pool("hashing", 4), Pool("storing", 1))
    yield Uploads(
        Changes(database, Access(UnheardImages(database), EveryoneMay())),
        UnheardUploads(database),
        Scrubber(DiscardedObjectRows(database), {"memory": store}),
        {"memory": store},
        ImagesSettings(),
        pools=pools,
        beside=of_upload,
    )
    pools.hashing.close()
    pools.storing.close()


def waiting(number: int, **changes: Any) -> Image:
    return image(number, **{"status": Status.QUEUED, "size": None, **changes})


def bring(session: UploadSession, data: bytes, piece: int = 5) -> Image:
    for start in range(0, len(data), piece):
        back = threading.Event()
        session.put(memoryview(data)[start : start + piece], back.set)
        back.wait()
    return session.finish()


def found(database: Database, of: Image) -> Fingerprint | None:
    return FingerprintRows(database).of([of.id]).get(of.id)


@pytest.mark.parametrize(("disk_format", "data"), [("qcow2", DISK), ("squashfs", SQUASHFS)])
def test_a_public_image_is_in_the_feed_as_soon_as_its_data_is_there(
    uploads: Uploads, database: Database, disk_format: str, data: bytes
) -> None:
    one = waiting(1, disk_format=disk_format)
    add(UnheardImages(database), one)
    feed = LiveFeed(PublicImageRows(database), StreamsSettings(), fingerprints=FingerprintRows(database))
    assert feed.file_listing(one).file is None
    active = bring(uploads.begin(OPERATOR, one.id), data)
    known = found(database, one)
    assert known is not None
    assert known.is_of(active)
    assert known.sha256 == hashlib.sha256(data).hexdigest()
    assert known.combined == hashlib.sha256(known.metadata + data).hexdigest()
    listing = feed.file_listing(active)
    assert (listing.reasons, listing.newest) == ((), one.id)


def test_what_an_earlier_process_has_stored_is_hashed_too(uploads: Uploads, database: Database) -> None:
    one = waiting(1)
    add(UnheardImages(database), one)
    session = uploads.begin(OPERATOR, one.id)
    session.go_on([DISK[:3], DISK[3:100]])
    bring(session, DISK[100:], 4096)
    known = found(database, one)
    assert known is not None
    assert known.combined == hashlib.sha256(known.metadata + DISK).hexdigest()


@pytest.mark.parametrize(
    "changes",
    [{"visibility": Visibility.PRIVATE}, {"disk_format": "raw"}, {"os_distro": None}, {"os_hidden": True}],
)
def test_data_that_the_feed_will_not_list_is_not_hashed_more_than_usual(
    uploads: Uploads, database: Database, changes: dict[str, Any]
) -> None:
    one = waiting(1, **changes)
    add(UnheardImages(database), one)
    session = uploads.begin(OPERATOR, one.id)
    assert session.beside is None
    bring(session, DISK, 4096)
    assert found(database, one) is None


def test_data_of_another_kind_is_kept_as_such(uploads: Uploads, database: Database) -> None:
    one = waiting(1, disk_format="root-tar")
    add(UnheardImages(database), one)
    bring(uploads.begin(OPERATOR, one.id), b"\x1f\x8b" + b"a tarball" * 100, 4096)
    known = found(database, one)
    assert known is not None
    assert (known.combined, "does not begin" in (known.error or "")) == (None, True)


def test_an_upload_that_fails_leaves_no_hashes(uploads: Uploads, database: Database) -> None:
    one = waiting(1)
    add(UnheardImages(database), one)
    session = uploads.begin(OPERATOR, one.id)
    session.abandon()
    assert found(database, one) is None
