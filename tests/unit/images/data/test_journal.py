"""What the journal tells of uploads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.image_catalogue import NOON
from contracts.unheard import UnheardImages, UnheardUploads
from headwater.activity.journal import Entry, Journal
from headwater.identity.caller import OPERATOR
from headwater.images.data.leftovers import Running
from headwater.images.data.session import (
    Pools,
)
from headwater.images.data.uploads import Uploads
from headwater.images.model import Image
from headwater.images.settings import ImagesSettings
from headwater.jobs.leases import LEASE_S
from headwater.stores.store import StoreFull
from unit.clock import Clock
from unit.images.data.uploading import (
    SECOND,
    BrokenStore,
    changing,
    leftovers,
    scrubbing,
    service,
)


class Heard:
    """A listener that writes down what becomes of images, and who did it."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, str | None, str, str]] = []
        self.over: list[str] = []

    def moved(self, entry: Entry) -> tuple[()]:
        who = entry.caller.user_id if entry.caller else "headwater"
        self.moves.append((entry.action, who, entry.before.status.value, entry.after.status.value))
        return ()

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        self.over.append(entry.action if error is None else f"{entry.action} failed")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def told(records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock, heard: Heard) -> Uploads:
    return Uploads(
        changing(records, journal=Journal([heard])),
        records,
        scrubbing(records, {store.name: store}),
        {store.name: store},
        ImagesSettings(),
        pools=pools,
        clock=clock,
        running=Running("here"),
    )


ANN = replace(OPERATOR, user_id="ann")
PREPARED = ("image.prepare", "ann", "queued", "saving")


def test_the_journal_tells_of_an_image_that_waits_again(told: Uploads, image: Image, heard: Heard) -> None:
    told.begin(ANN, image.id).abandon()
    assert heard.moves == [PREPARED, ("image.update", "ann", "saving", "queued")]
    assert heard.over == ["image.prepare", "image.update"]


def test_the_journal_tells_of_an_image_whose_store_took_no_data(told: Uploads, image: Image, heard: Heard) -> None:
    with pytest.raises(StoreFull):
        told.begin(ANN, image.id, 2 << 20)
    assert heard.moves == [PREPARED, ("image.update", "ann", "saving", "queued")]


def test_the_journal_tells_of_an_upload_that_headwater_cleared(
    told: Uploads, image: Image, heard: Heard, clock: Clock, records: UnheardUploads, store: BrokenStore, pools: Pools
) -> None:
    service(records, store, pools, clock, "there").begin(OPERATOR, image.id)
    clock.now += (LEASE_S + 1) * SECOND
    assert leftovers(told).clear_expired() == 1
    assert heard.moves == [("image.update", "headwater", "saving", "queued")]
    assert heard.over == ["image.update"]


def test_the_journal_tells_nothing_of_an_image_that_was_deleted_before_its_data_broke_off(
    told: Uploads, image: Image, heard: Heard, catalogue: UnheardImages
) -> None:
    data = told.begin(ANN, image.id)
    catalogue.delete(image.id, Image.require_deletable, NOON)
    data.abandon()
    assert heard.over == ["image.prepare"]
