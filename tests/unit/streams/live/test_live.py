from __future__ import annotations

import json
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from headwater.errors import NotFound, Unavailable
from headwater.images.catalogue.public import Revision
from headwater.images.model import Image
from headwater.streams.live.document import StreamNotFound
from headwater.streams.live.feed import LiveFeed, live_feed
from headwater.streams.settings import StreamsSettings
from headwater.streams.signing.signer import SigningKeyUnusable
from unit.streams.catalogue import NOON, ListedImages, image
from unit.streams.keys import OpenKey, open_key

PRODUCTS = "com.ubuntu.cloud-released-imagemetadata"
PLAIN_NAMES = ["index.json", "index2.json", "mirrors.json", f"{PRODUCTS}.json"]
SIGNED_NAMES = ["index.sjson", "index2.sjson", "mirrors.sjson", f"{PRODUCTS}.sjson"]


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


def ids(feed: LiveFeed) -> set[str]:
    products = json.loads(feed.document(f"{PRODUCTS}.json").body)["products"]
    return {
        item["id"]
        for product in products.values()
        for version in product["versions"].values()
        for item in version["items"].values()
    }


def test_an_image_is_listed_at_once_and_gone_at_once() -> None:
    source = ListedImages()
    feed = LiveFeed(source, StreamsSettings())
    assert ids(feed) == set()
    one = image(1)
    source.change_to(one)
    assert ids(feed) == {one.id}
    source.change_to()
    assert ids(feed) == set()


def test_nothing_is_read_again_while_nothing_changes() -> None:
    source = ListedImages([image(1)])
    feed = LiveFeed(source, StreamsSettings())
    documents = [feed.document(name) for name in PLAIN_NAMES * 3]
    assert source.times_read == 1
    assert documents[0] is documents[4]


def test_the_entity_tag_changes_with_the_body_and_not_with_the_revision() -> None:
    source = ListedImages([image(1)])
    feed = LiveFeed(source, StreamsSettings())
    before = feed.document("index.json")
    source.change_to(image(1))
    assert feed.document("index.json").etag == before.etag
    source.change_to(image(1), image(2, architecture="aarch64"))
    assert feed.document("index.json").etag != before.etag
    assert before.etag.startswith('"')
    assert before.etag.endswith('"')


def test_an_image_that_is_listed_is_told_where_and_which_one_juju_takes() -> None:
    old, new = image(1, created=NOON - timedelta(days=1)), image(2)
    feed = LiveFeed(ListedImages([new, old, image(3, architecture="aarch64")]), StreamsSettings())
    assert feed.listing(old).to_dict() == {
        "image_id": old.id,
        "listed": True,
        "reasons": [],
        "product": "com.ubuntu.cloud:server:24.04:amd64",
        "stream": "released",
        "version": "20260720.120000000000000000000001",
        "virt": "kvm",
        "newest": new.id,
    }
    assert feed.listing(new).newest == new.id


def test_of_each_kind_of_guest_another_image_is_the_newest() -> None:
    kvm, lxd = image(1), image(2, created=NOON + timedelta(days=1), hypervisor_type="lxc")
    feed = LiveFeed(ListedImages([kvm, lxd]), StreamsSettings(virt_types=("kvm", "lxd")))
    assert [feed.listing(each).newest for each in (kvm, lxd)] == [kvm.id, lxd.id]


def test_an_image_that_is_not_listed_is_told_every_reason() -> None:
    told = LiveFeed(ListedImages(), StreamsSettings()).listing(image(1, disk_format="iso", os_distro=None)).to_dict()
    assert [reason.partition(" ")[0] for reason in told.pop("reasons")] == ["os_distro", "disk_format"]
    assert {key for key, value in told.items() if value is None} == {"product", "stream", "version", "virt", "newest"}


def test_both_indexes_are_the_same() -> None:
    feed = LiveFeed(ListedImages([image(1)]), StreamsSettings())
    assert feed.document("index.json").body == feed.document("index2.json").body
    assert feed.document("mirrors.json").body == b'{\n "mirrors": {}\n}\n'


def test_signed_twins_exist_with_a_key_only(key: OpenKey) -> None:
    unsigned = LiveFeed(ListedImages(), StreamsSettings())
    signed = LiveFeed(ListedImages(), StreamsSettings(), key.signer)
    for name in SIGNED_NAMES:
        with pytest.raises(StreamNotFound):
            unsigned.document(name)
        assert signed.document(name).body.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: ")
        assert signed.document(name) is signed.document(name)


@pytest.mark.parametrize(
    "name", ["", "index", "INDEX.JSON", "index.json/", "../index.json", "index.json.gpg", "x" * 9999]
)
def test_any_other_name_is_not_found(key: OpenKey, name: str) -> None:
    with pytest.raises(NotFound):
        LiveFeed(ListedImages(), StreamsSettings(), key.signer).document(name)


def test_a_key_that_stops_signing_stops_the_signed_documents_only() -> None:
    class Stopped:
        def sign(self, text: bytes) -> bytes:
            raise Unavailable("the key is gone")

        def close(self) -> None:
            pass

    feed = LiveFeed(ListedImages(), StreamsSettings(), Stopped())
    with pytest.raises(Unavailable):
        feed.document("index.sjson")
    assert feed.document("index.json").body


def test_many_requests_at_once_after_a_change_make_the_documents_once() -> None:
    class SlowImages(ListedImages):
        def __init__(self) -> None:
            super().__init__([image(1)])
            self.entered, self.leave = threading.Event(), threading.Event()

        def everything(self) -> list[Image]:
            self.entered.set()
            assert self.leave.wait(10)
            return super().everything()

    source = SlowImages()
    feed = LiveFeed(source, StreamsSettings())
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(feed.document, "index.json") for _ in range(8)]
        assert source.entered.wait(10)
        source.leave.set()
        assert len({future.result().etag for future in waiting}) == 1
    assert source.times_read == 1


def test_a_change_while_the_documents_are_made_is_seen_by_the_next_request() -> None:
    late = image(2)

    class ChangesWhileRead(ListedImages):
        def everything(self) -> list[Image]:
            found = super().everything()
            if self.times_read == 1:
                self.change_to(*found, late)
            return found

    feed = LiveFeed(ChangesWhileRead([image(1)]), StreamsSettings())
    feed.document("index.json")
    assert late.id in ids(feed)


def test_after_a_change_only_what_has_changed_is_read() -> None:
    class Noting(ListedImages):
        def __init__(self, images: list[Image]) -> None:
            super().__init__(images)
            self.asked: list[set[str]] = []

        def get(self, image_ids: Collection[str]) -> list[Image]:
            self.asked.append(set(image_ids))
            return super().get(image_ids)

    many = [image(n) for n in range(1, 50)]
    source = Noting(many)
    feed = LiveFeed(source, StreamsSettings())
    assert len(ids(feed)) == 49
    source.change_to(*many[1:], image(50))
    source.change_to(*many[2:], image(50))
    assert ids(feed) == {each.id for each in (*many[2:], image(50))}
    assert source.times_read == 1
    assert source.asked == [{many[0].id, many[1].id, image(50).id}]


def test_everything_is_read_when_nobody_knows_what_has_changed() -> None:
    source = ListedImages([image(1)])
    feed = LiveFeed(source, StreamsSettings())
    assert ids(feed) == {image(1).id}
    source.forgets = True
    source.change_to(image(2))
    assert ids(feed) == {image(2).id}
    assert source.times_read == 2


def test_a_change_that_could_not_be_read_is_seen_by_the_next_request() -> None:
    class Hiccups(ListedImages):
        works = True

        def get(self, image_ids: Collection[str]) -> list[Image]:
            if not self.works:
                raise Unavailable("no database")
            return super().get(image_ids)

    source = Hiccups([image(1), image(2)])
    feed = LiveFeed(source, StreamsSettings())
    assert len(ids(feed)) == 2
    source.change_to(image(1, updated=NOON + timedelta(days=1)), image(3))
    source.works = False
    with pytest.raises(Unavailable):
        feed.document("index.json")
    source.works = True
    assert ids(feed) == {image(1).id, image(3).id}


def test_who_asks_for_one_document_does_not_wait_for_another_that_is_made() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow:
        def sign(self, text: bytes) -> bytes:
            entered.set()
            assert leave.wait(10)
            return b"signed"

        def close(self) -> None:
            pass

    feed = LiveFeed(ListedImages([image(1)]), StreamsSettings(), Slow())
    with ThreadPoolExecutor(1) as pool:
        signed = pool.submit(feed.document, f"{PRODUCTS}.sjson")
        assert entered.wait(10)
        for name in PLAIN_NAMES:
            assert feed.document(name).body
        leave.set()
        assert signed.result().body == b"signed"


def test_a_source_that_fails_is_an_error_and_not_an_old_document() -> None:
    class Broken(ListedImages):
        broken = False

        def revision(self) -> Revision:
            if self.broken:
                raise Unavailable("no database")
            return super().revision()

    source = Broken([image(1)])
    feed = LiveFeed(source, StreamsSettings())
    feed.document("index.json")
    source.broken = True
    with pytest.raises(Unavailable):
        feed.document("index.json")
    source.broken = False
    assert feed.document("index.json").body


def test_the_key_of_the_settings_is_loaded_at_the_start(tmp_path: Path, key: OpenKey) -> None:
    file = tmp_path / "key.asc"
    settings = StreamsSettings(signing_key=file)
    with pytest.raises(SigningKeyUnusable):
        live_feed(ListedImages(), settings)
    file.write_bytes(key.armor)
    assert live_feed(ListedImages(), settings).document("index2.sjson").body
