"""What is kept of image files equals what is made anew, whatever has come, gone and changed."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.model import Image, Status, Visibility
from headwater.streams.format.documents import Products
from headwater.streams.live.document import StreamNotFound
from headwater.streams.live.feed import LiveFeed
from headwater.streams.live.files import kept_files
from headwater.streams.live.files.documents import ListedFile, version_text
from headwater.streams.live.files.kept_files import KeptFiles
from headwater.streams.live.files.placement import FilePlacement, place_files
from headwater.streams.settings import StreamsSettings
from unit.streams.catalogue import NOON, ListedImages, image

HASH = "ab" * 64

_ids = st.sampled_from([str(uuid.UUID(int=digits + more * 10**12)) for digits in (1, 2) for more in (0, 1)])
_properties = st.fixed_dictionaries(
    {
        "os_version": st.sampled_from(["24.04", "22.04", "none"]),
        "simplestreams_stream": st.sampled_from(["", "daily"]),
        "disk_format": st.sampled_from(["qcow2", "squashfs", "root-tar", "raw"]),
        "created": st.integers(0, 1).map(lambda n: NOON + timedelta(microseconds=n)),
        "updated": st.integers(0, 3).map(lambda n: NOON + timedelta(seconds=n)),
        "status": st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.ACTIVE, Status.DEACTIVATED]),
        "visibility": st.sampled_from([Visibility.PUBLIC, Visibility.PUBLIC, Visibility.SHARED]),
        "os_hash_value": st.sampled_from([HASH, HASH, "cd" * 64]),
    }
)


def fingerprint(of: Image, **changes: Any) -> Fingerprint:
    """Return what a pass over the data of an image finds."""
    at = place_files(of)
    given: dict[str, Any] = {
        "data_hash": of.os_hash_value,
        "sha256": f"{of.id[:8]}{'12' * 28}",
        "product": at.product_id if isinstance(at, FilePlacement) else None,
        "metadata": of.id.encode(),
        "combined": "34" * 32,
        "tried_at": of.created_at + 5,
    }
    return Fingerprint(image_id=of.id, **{**given, **changes})


class Changes(RuleBasedStateMachine):
    """Images come, are hashed, change and go."""

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[str, Image] = {}
        self.found: dict[str, Fingerprint] = {}
        self.kept = KeptFiles()
        self.tags: dict[str, bytes] = {}
        self.texts: dict[bytes, str] = {}

    def _told(self, image_id: str) -> None:
        self.kept.put(self.images[image_id], self.found.get(image_id))

    @rule(image_id=_ids, properties=_properties)
    def put(self, image_id: str, properties: dict[str, Any]) -> None:
        self.images[image_id] = image(id=image_id, **properties)
        self._told(image_id)

    @rule(image_id=_ids)
    def hash(self, image_id: str) -> None:
        if image_id in self.images:
            self.found[image_id] = fingerprint(self.images[image_id])
            self._told(image_id)

    @rule(image_id=_ids)
    def drop(self, image_id: str) -> None:
        self.images.pop(image_id, None)
        self.found.pop(image_id, None)
        self.kept.drop(image_id)

    @invariant()
    def says_the_same(self) -> None:
        anew = KeptFiles()
        for each in self.images.values():
            anew.put(each, self.found.get(each.id))
        listed, expected = self.kept.listed(), anew.listed()
        assert listed.products_text() == expected.products_text()
        assert list(listed.entries(signed=True)) == list(expected.entries(signed=True))
        assert listed.tag() == expected.tag()
        assert self.tags.setdefault(listed.tag(), listed.products_text()) == listed.products_text()
        assert self.texts.setdefault(listed.products_text(), listed.tag()) == listed.tag()
        document = Products.from_bytes(listed.products_text())
        assert document.to_bytes() == listed.products_text()
        shown = {
            (item.path or "").split("/")[1]
            for product in document.products.values()
            for version in product.versions.values()
            for item in version.items.values()
        }
        known = {
            each.id
            for each in self.images.values()
            if isinstance(at := place_files(each), FilePlacement)
            and each.id in self.found
            and self.found[each.id].product == at.product_id
            and self.found[each.id].is_of(each)
        }
        assert shown <= known
        assert bool(shown) == bool(known)


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


def test_the_document_of_one_image() -> None:
    one = image(1, os_hash_value=HASH, support_eol="2029-05-31")
    kept = KeptFiles()
    kept.put(one, fingerprint(one))
    document = json.loads(kept.listed().products_text())
    [product] = document.pop("products").items()
    assert document == {
        "content_id": "images",
        "datatype": "image-downloads",
        "format": "products:1.0",
        "updated": "Tue, 21 Jul 2026 12:00:00 +0000",
    }
    name, told = product
    [(version, items)] = ((version, each["items"]) for version, each in told.pop("versions").items())
    assert (name, version) == ("ubuntu:noble:amd64:default", "20260721.120000000000000000000001")
    assert told == {
        "os": "ubuntu",
        "release": "noble",
        "release_title": "24.04",
        "version": "24.04",
        "arch": "amd64",
        "variant": "default",
        "support_eol": "2029-05-31",
        "aliases": "ubuntu/noble,ubuntu/24.04,ubuntu/noble/default,ubuntu/24.04/default",
    }
    sha256, packed = f"00000000{'12' * 28}", hashlib.sha256(one.id.encode()).hexdigest()
    about = items["lxd.tar.xz"]
    assert items["disk.qcow2"] == {
        "ftype": "disk-kvm.img",
        "path": f"images/{one.id}/{sha256}/disk.qcow2",
        "size": one.size,
        "sha256": sha256,
    }
    assert about == {
        "ftype": "lxd.tar.xz",
        "path": f"images/{one.id}/{packed}/metadata.tar.xz",
        "size": 36,
        "sha256": packed,
        "combined_disk-kvm-img_sha256": "34" * 32,
    }
    assert items["incus.tar.xz"] == {**about, "ftype": "incus.tar.xz"}


def test_the_newest_image_says_what_its_product_is() -> None:
    kept = KeptFiles()
    for number, eol in enumerate(["2027-01-01", "2028-01-01", "2026-01-01"]):
        each = image(number, created=NOON + timedelta(hours=number), os_hash_value=HASH, support_eol=eol)
        kept.put(each, fingerprint(each))
    [product] = json.loads(kept.listed().products_text())["products"].values()
    assert (product["support_eol"], len(product["versions"])) == ("2026-01-01", 3)
    assert kept.listed().products["ubuntu:noble:amd64:default"].newest == {"virtual-machine": str(uuid.UUID(int=2))}


def test_a_change_makes_the_text_of_its_image_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def noted(name: str, file: ListedFile) -> bytes:
        made.append(name)
        return version_text(name, file)

    kept = KeptFiles()
    images = [image(n, created=NOON + timedelta(seconds=n), os_hash_value=HASH) for n in range(1, 200)]
    for each in images:
        kept.put(each, fingerprint(each))
    kept.listed()
    monkeypatch.setattr(kept_files, "version_text", noted)
    kept.put(images[7], fingerprint(images[7], combined="56" * 32))
    kept.drop(images[9].id)
    kept.listed().products_text()
    assert len(made) == 1


class Found:
    """Fingerprints of images; a test changes them as it changes the images."""

    def __init__(self) -> None:
        self.rows: dict[str, Fingerprint] = {}

    def of(self, image_ids: Any) -> dict[str, Fingerprint]:
        return {each: self.rows[each] for each in image_ids if each in self.rows}

    def everything(self) -> list[Fingerprint]:
        return list(self.rows.values())


@pytest.mark.parametrize("forgets", [False, True])
def test_the_feed_lists_an_image_once_its_fingerprint_is_known(*, forgets: bool) -> None:
    one, found = image(1, os_hash_value=HASH), Found()
    source = ListedImages([one])
    source.forgets = forgets
    feed = LiveFeed(source, StreamsSettings(), fingerprints=found)
    assert json.loads(feed.document("images.json").body)["products"] == {}
    assert list(json.loads(feed.document("index.json").body)["index"]) == ["com.ubuntu.cloud:released:imagemetadata"]
    found.rows[one.id] = fingerprint(one)
    source.change_to(image(1, os_hash_value=HASH, updated=NOON + timedelta(seconds=1)))
    index = json.loads(feed.document("index.json").body)["index"]
    assert index["images"] == {
        "updated": "Tue, 21 Jul 2026 12:00:01 +0000",
        "format": "products:1.0",
        "datatype": "image-downloads",
        "path": f"streams/v1/images-{feed.edition().tag}.json",
        "products": ["ubuntu:noble:amd64:default"],
    }
    assert feed.file_listing(one).newest == one.id
    source.change_to()
    assert json.loads(feed.document("images.json").body)["products"] == {}


def test_a_feed_without_files_has_no_document_of_them() -> None:
    feed = LiveFeed(ListedImages([image(1)]), StreamsSettings())
    with pytest.raises(StreamNotFound):
        feed.document("images.json")


def test_every_stream_has_a_document_of_its_own() -> None:
    daily = image(1, simplestreams_stream="daily")
    feed = LiveFeed(ListedImages([daily, image(2)]), StreamsSettings(content_id="com.example:released:site"))
    index = json.loads(feed.document("index.json").body)["index"]
    tag = feed.edition().tag
    assert {name: (entry["path"], entry["products"]) for name, entry in index.items()} == {
        "com.example:released:site": (
            f"streams/v1/com.example-released-site-{tag}.json",
            ["com.ubuntu.cloud:server:24.04:amd64"],
        ),
        "com.example:daily:site": (
            f"streams/v1/com.example-daily-site-{tag}.json",
            ["com.ubuntu.cloud.daily:server:24.04:amd64"],
        ),
    }
    document = json.loads(feed.document("com.example-daily-site.json").body)
    assert (document["content_id"], list(document["products"])) == (
        "com.example:daily:site",
        ["com.ubuntu.cloud.daily:server:24.04:amd64"],
    )


@pytest.mark.parametrize(
    ("content_id", "stream", "expected"),
    [
        ("com.ubuntu.cloud:released:imagemetadata", "daily", "com.ubuntu.cloud:daily:imagemetadata"),
        ("com.example.images", "daily", "com.example.images:daily"),
        ("released", "index", "released:index"),
        ("a:released:b:released", "x", "a:x:b:x"),
    ],
)
def test_the_content_id_of_a_stream(content_id: str, stream: str, expected: str) -> None:
    settings = StreamsSettings(content_id=content_id)
    assert settings.content_id_of(stream) == expected
    assert settings.products_of("released") == settings.products_name
