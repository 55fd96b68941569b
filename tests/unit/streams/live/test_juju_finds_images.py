"""Juju's lookup, written a second time in ``juju_lookup``, over the documents that the live feed gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pysequoia
import pytest

from headwater.errors import NotFound
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.model import Image, Status, Visibility
from headwater.streams.live.feed import LiveFeed
from headwater.streams.settings import CloudEndpoint, StreamsSettings
from headwater.streams.signing.verifying import verify
from unit.streams.catalogue import NOON, ListedImages, image
from unit.streams.juju_lookup import Absent, Fetch, Found, Source, SourceError, Wanted, find
from unit.streams.keys import OpenKey, open_key
from unit.streams.live.files.test_kept_files import fingerprint

KEYSTONE = "https://keystone.example:5000/v3"
SETTINGS = StreamsSettings(
    clouds=(
        CloudEndpoint(
            region="RegionOne", endpoint=(KEYSTONE, "https://keystone.example:5000", "http://192.0.2.7:5000/v3")
        ),
        CloudEndpoint(region="RegionTwo", endpoint=("https://two.example/identity/v3",)),
    )
)
PRODUCTS = "streams/v1/com.ubuntu.cloud-released-imagemetadata"


@pytest.fixture(scope="module")
def key() -> OpenKey:
    return open_key()


def fetching(feed: LiveFeed) -> Fetch:
    def fetch(path: str) -> tuple[int, bytes]:
        directory, _, name = path.rpartition("/")
        try:
            return (200, feed.document(name).body) if directory == "streams/v1" else (404, b"")
        except NotFound:
            return 404, b""

    return fetch


class Fingerprints:
    """Every image has its files in the feed."""

    def __init__(self, images: tuple[Image, ...]) -> None:
        self._found = {each.id: fingerprint(each) for each in images}

    def of(self, image_ids: Collection[str]) -> dict[str, Fingerprint]:
        return {each: self._found[each] for each in image_ids}

    def everything(self) -> list[Fingerprint]:
        return list(self._found.values())


def unsigned(*images: Image, settings: StreamsSettings = SETTINGS) -> Source:
    return Source(fetching(LiveFeed(ListedImages(images), settings)))


def wanted(
    region: str = "RegionOne",
    endpoint: str = KEYSTONE,
    *,
    release: str = "24.04",
    arch: str = "amd64",
    stream: str = "",
) -> Wanted:
    return Wanted(region, endpoint, [release], [arch], stream)


def search(*images: Image, asked: Wanted | None = None, settings: StreamsSettings = SETTINGS) -> Found:
    return find(unsigned(*images, settings=settings), asked or wanted())


def verifying(key: OpenKey) -> Callable[[bytes], bytes]:
    return lambda signed: verify(signed, [key.certificate], datetime.now(UTC))


@pytest.mark.parametrize(
    "asked",
    [
        wanted(),
        wanted(endpoint=f"{KEYSTONE}/"),
        wanted(endpoint="https://keystone.example:5000"),
        wanted(endpoint="http://192.0.2.7:5000/v3"),
    ],
)
def test_juju_finds_a_public_image_under_every_spelling_of_its_endpoint(asked: Wanted) -> None:
    one = image(1)
    found = search(one, asked=asked)
    assert found.ids == [one.id]
    assert found.images[0] == {
        "id": one.id,
        "region": "RegionOne",
        "endpoint": KEYSTONE,
        "version": "24.04",
        "arch": "amd64",
    }


def test_juju_finds_the_same_image_in_each_region_with_that_region_s_endpoint() -> None:
    one = image(1)
    found = search(one, asked=wanted("RegionTwo", "https://two.example/identity/v3"))
    assert [(i["id"], i["region"], i["endpoint"]) for i in found.images] == [
        (one.id, "RegionTwo", "https://two.example/identity/v3")
    ]


@pytest.mark.parametrize(
    "asked",
    [
        wanted("RegionThree"),
        wanted(endpoint="https://keystone.example:5000/v2.0"),
        wanted(endpoint=f"{KEYSTONE}//"),
        wanted("RegionTwo"),  # the endpoint of the other region
    ],
)
def test_a_cloud_that_is_not_in_the_settings_has_no_data(asked: Wanted) -> None:
    with pytest.raises(Absent, match="no data for cloud"):
        search(image(1), asked=asked)


@pytest.mark.parametrize(
    "asked",
    [wanted(release="22.04"), wanted(arch="arm64"), wanted(stream="daily"), wanted("regionone")],
)
def test_a_near_miss_is_an_empty_success(asked: Wanted) -> None:
    assert search(image(1), asked=asked).ids == []


@pytest.mark.parametrize(
    ("glance", "juju"),
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("ppc64le", "ppc64el"), ("s390x", "s390x"), ("riscv64", "riscv64")],
)
def test_juju_asks_in_its_own_words_for_architectures(glance: str, juju: str) -> None:
    one = image(1, architecture=glance)
    assert search(one, asked=wanted(arch=juju)).ids == [one.id]


def test_juju_finds_centos_by_the_name_that_it_asks_for() -> None:
    one = image(1, os_distro="centos", os_version="7.9")
    assert search(one, asked=wanted(release="centos7")).ids == [one.id]


@pytest.mark.parametrize("stream", ["", "daily"])
def test_juju_finds_images_in_a_feed_that_lists_files_too(key: OpenKey, stream: str) -> None:
    made = image(1, simplestreams_stream=stream, os_hash_value="ab" * 64)
    feed = LiveFeed(ListedImages([made]), SETTINGS, key.signer, fingerprints=Fingerprints((made,)))
    assert b"image-downloads" in feed.document("index.sjson").body
    for source in (Source(fetching(feed)), Source(fetching(feed), verifying(key), requires_signed=True)):
        assert find(source, wanted(stream=stream)).ids == [made.id]


def test_juju_finds_a_daily_image_in_the_daily_stream_only() -> None:
    daily, released = image(1, simplestreams_stream="daily"), image(2)
    assert search(daily, released, asked=wanted(stream="daily")).ids == [daily.id]
    assert search(daily, released).ids == [released.id]


def test_the_newest_image_wins() -> None:
    images = [image(n, created=NOON - timedelta(days=n)) for n in range(1, 20)]
    assert search(*images).ids == [images[0].id]


def test_of_many_images_of_one_day_the_newest_wins_and_no_two_are_alike() -> None:
    images = [image(100 - n, created=NOON + timedelta(minutes=n)) for n in range(25)]
    found = search(*images)
    assert found.ids == [images[-1].id]
    assert found.duplicates() == []


@pytest.mark.parametrize(
    "other", [{"hypervisor_type": "lxc"}, {"hypervisor_type": "xen"}, {"img_hv_type": "lxd"}, {"vm_mode": "exe"}]
)
def test_without_a_virt_type_juju_takes_the_kvm_image(other: dict[str, Any]) -> None:
    kvm = image(2)
    # Of two kinds of guest Juju takes the lower id.
    found = search(kvm, image(1, created=NOON + timedelta(days=1), **other))
    assert found.choose("amd64") == kvm.id


@pytest.mark.parametrize(
    "other",
    [
        {"image_type": "snapshot"},
        {"image_type": "backup"},
        {"disk_format": "iso"},
        {"disk_format": "aki", "container_format": "aki"},
        {"container_format": "ova"},
        {"block_device_mapping": '[{"source_type": "snapshot"}]', "size": 0},
    ],
)
def test_juju_takes_what_boots_as_a_fresh_server_however_old(other: dict[str, Any]) -> None:
    fresh = image(2)
    assert search(fresh, image(1, created=NOON + timedelta(days=1), **other)).ids == [fresh.id]


def test_images_for_containers_and_for_kvm_are_both_found_and_told_apart_where_both_are_listed() -> None:
    kvm = image(2, hypervisor_type="qemu")
    lxd = image(1, hypervisor_type="lxc")
    found = search(kvm, lxd, settings=SETTINGS.model_copy(update={"virt_types": ("kvm", "lxd")}))
    assert found.duplicates() == []
    assert found.choose("amd64", virt="kvm") == kvm.id
    assert found.choose("amd64", virt="lxd") == lxd.id


def test_an_image_that_says_kvm_and_one_that_says_nothing_replace_one_another() -> None:
    old, new = image(1, hypervisor_type="qemu", created=NOON - timedelta(days=1)), image(2)
    found = search(old, new)
    assert found.ids == [new.id]
    assert found.choose("amd64", virt="kvm") == new.id


@pytest.mark.parametrize(
    "changes",
    [
        {"visibility": Visibility.PRIVATE},
        {"visibility": Visibility.SHARED},
        {"visibility": Visibility.COMMUNITY},
        {"status": Status.DEACTIVATED},
        {"status": Status.QUEUED},
        {"status": Status.SAVING},
        {"os_hidden": True},
        {"os_version": None},
    ],
)
def test_juju_does_not_find_an_image_that_is_not_for_everybody(changes: dict[str, Any]) -> None:
    other = image(2)
    assert search(image(1, created=NOON + timedelta(days=1), **changes), other).ids == [other.id]


def test_an_empty_catalogue_is_an_empty_success_and_not_an_error() -> None:
    assert search().ids == []


def untagged(paths: list[str]) -> list[str]:
    """Return paths without the tags by which products are told from those of before and after."""
    return [re.sub(r"-[0-9a-f]{16}(\.s?json)$", r"\1", path) for path in paths]


def test_an_unsigned_feed_is_asked_for_in_the_order_that_the_rules_say() -> None:
    source = unsigned(image(1))
    assert not find(source, wanted()).signed
    assert untagged(source.requests) == [
        "streams/v1/index2.sjson",
        "streams/v1/index.sjson",
        "streams/v1/index2.json",
        "streams/v1/mirrors.json",
        f"{PRODUCTS}.json",
    ]


def test_a_signed_feed_is_taken_first_and_names_signed_documents_only(key: OpenKey) -> None:
    one = image(1)
    feed = LiveFeed(ListedImages([one]), SETTINGS, key.signer)
    source = Source(fetching(feed), verifying(key), requires_signed=True)
    found = find(source, wanted())
    assert (found.ids, found.signed) == ([one.id], True)
    assert untagged(source.requests) == ["streams/v1/index2.sjson", "streams/v1/mirrors.sjson", f"{PRODUCTS}.sjson"]


def test_a_reader_without_our_key_falls_back_to_the_unsigned_feed(key: OpenKey) -> None:
    one = image(1)
    feed = LiveFeed(ListedImages([one]), SETTINGS, key.signer)
    source = Source(fetching(feed))
    found = find(source, wanted())
    assert (found.ids, found.signed) == ([one.id], False)
    assert untagged(source.requests)[-1] == f"{PRODUCTS}.json"


def test_a_reader_that_requires_signatures_takes_no_other_key(key: OpenKey) -> None:
    feed = LiveFeed(ListedImages([image(1)]), SETTINGS, key.signer)
    other = pysequoia.Tsk.generate("somebody else").extract_certificate()
    source = Source(fetching(feed), lambda signed: verify(signed, [other], datetime.now(UTC)), requires_signed=True)
    with pytest.raises(SourceError, match="signature is not good"):
        find(source, wanted())


def test_what_is_added_to_a_copied_feed_is_found_where_index2_was_left_out() -> None:
    def files(*images: Image) -> dict[str, bytes]:
        feed = LiveFeed(ListedImages(images), SETTINGS)
        index = json.loads(feed.document("index.json").body)
        (products,) = (entry["path"] for entry in index["index"].values())
        paths = ("streams/v1/index.json", "streams/v1/index2.json", products)
        return {path: feed.document(path.rpartition("/")[2]).body for path in paths}

    def found(copy: dict[str, bytes]) -> list[str]:
        source = Source(lambda path: (200, copy[path]) if path in copy else (404, b""))
        return find(source, wanted(release="22.04")).ids

    old, added = image(1), image(2, os_version="22.04")
    copy = files(old)
    # As juju metadata generate-image does: it rewrites all but index2.json.
    rewritten = {path: body for path, body in files(old, added).items() if "index2" not in path}
    assert found(copy | rewritten) == []
    del copy["streams/v1/index2.json"]
    assert found(copy | rewritten) == [added.id]


HOSTILE = [
    "a\nb",
    "24.04\x00",
    "..",
    "../../../etc",
    "24.04:amd64",
    "x" * 100_000,
    "\u00fc\u2028\u0085",
    "\ud800",
    '"}],',
    "1" * 5000,
    "",
    "-----BEGIN PGP SIGNATURE-----",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "name", ["os_distro", "os_version", "architecture", "simplestreams_stream", "hypervisor_type", "description"]
)
def test_a_hostile_property_harms_no_other_image(key: OpenKey, name: str, value: str) -> None:
    good = image(1)
    changes: dict[str, Any] = {name: value}
    bad = image(2, created=NOON - timedelta(days=1), name=value, **changes)
    feed = LiveFeed(ListedImages([bad, good]), SETTINGS, key.signer)
    found = find(Source(fetching(feed), verifying(key), requires_signed=True), wanted())
    assert good.id in found.ids
    assert found.choose("amd64") == good.id
    body = feed.document("com.ubuntu.cloud-released-imagemetadata.json").body
    assert body.isascii()
    assert len(body) < 5000
