from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from headwater.clock import rfc2822
from headwater.images.model import Image
from headwater.streams.format.documents import Index, Products
from headwater.streams.live.image_ids import NO_MIRRORS, version_name
from headwater.streams.live.index import index_text
from headwater.streams.live.kept_products import KeptProducts
from headwater.streams.settings import CloudEndpoint, StreamsSettings
from unit.streams.catalogue import NOON, image

SETTINGS = StreamsSettings(
    clouds=(
        CloudEndpoint(region="One", endpoint=("https://one.example/v3", "https://one.example")),
        CloudEndpoint(region="Two", endpoint=("https://two.example/v3",)),
    )
)
PRODUCT = "com.ubuntu.cloud:server:24.04:amd64"


def products_of(images: Iterable[Image], settings: StreamsSettings) -> Products:
    return Products.from_bytes(KeptProducts(settings, images).listed().products_text())


def index_of(images: Iterable[Image], settings: StreamsSettings) -> Index:
    listed = KeptProducts(settings, images).listed()
    return Index.from_bytes(index_text(listed.entries(), rfc2822(listed.updated_at)))


def version_names(*images: Image) -> dict[str, list[str]]:
    """Return the version names with the ids of the images that they hold in region One."""
    versions = products_of(images, SETTINGS).products[PRODUCT].versions
    return {
        name: [item.id or "" for item in version.items.values() if item.region == "One"]
        for name, version in versions.items()
    }


def test_the_products_document_of_one_image() -> None:
    one = image(1, updated=NOON + timedelta(hours=3))
    assert products_of([one], SETTINGS).to_dict() == {
        "content_id": "com.ubuntu.cloud:released:imagemetadata",
        "datatype": "image-ids",
        "format": "products:1.0",
        "updated": "Tue, 21 Jul 2026 15:00:00 +0000",
        "products": {
            PRODUCT: {
                "os": "ubuntu",
                "version": "24.04",
                "arch": "amd64",
                "versions": {
                    "20260721.120000000000000000000001": {
                        "items": {
                            f"One-{one.id}": {"id": one.id, "region": "One", "endpoint": "https://one.example/v3"},
                            f"Two-{one.id}": {"id": one.id, "region": "Two", "endpoint": "https://two.example/v3"},
                        }
                    }
                },
            }
        },
    }


def test_the_index_names_every_spelling_of_every_region() -> None:
    assert index_of([image(1), image(2, architecture="aarch64")], SETTINGS).to_dict() == {
        "index": {
            "com.ubuntu.cloud:released:imagemetadata": {
                "updated": "Tue, 21 Jul 2026 12:00:00 +0000",
                "format": "products:1.0",
                "datatype": "image-ids",
                "cloudname": "headwater",
                "clouds": [
                    {"region": "One", "endpoint": "https://one.example/v3"},
                    {"region": "One", "endpoint": "https://one.example"},
                    {"region": "Two", "endpoint": "https://two.example/v3"},
                ],
                "path": "streams/v1/com.ubuntu.cloud-released-imagemetadata.json",
                "products": [PRODUCT, "com.ubuntu.cloud:server:24.04:arm64"],
            }
        },
        "updated": "Tue, 21 Jul 2026 12:00:00 +0000",
        "format": "index:1.0",
    }


def test_an_empty_feed_is_of_1970_and_still_a_feed() -> None:
    products = products_of([], SETTINGS)
    assert products.updated == "Thu, 01 Jan 1970 00:00:00 +0000"
    assert index_of([], SETTINGS).index["com.ubuntu.cloud:released:imagemetadata"].products == ()
    assert NO_MIRRORS.to_dict() == {"mirrors": {}}


def test_images_left_out_do_not_make_the_feed_newer() -> None:
    hidden = image(2, updated=NOON + timedelta(days=9), os_hidden=True)
    assert products_of([image(1), hidden], SETTINGS).updated == "Tue, 21 Jul 2026 12:00:00 +0000"


def test_a_version_is_named_by_the_image_s_creation_in_utc_and_by_its_id() -> None:
    late = datetime(2026, 7, 21, 23, 59, 59, 7, tzinfo=UTC)
    one = image(created=late, id="ffffffff-ffff-4fff-8fff-ffffffffffff")
    assert version_name(one) == "20260721.235959000007" + "841962672127"
    assert list(version_names(one, image(2, created=late + timedelta(seconds=1)))) == [
        "20260721.235959000007841962672127",
        "20260722.000000000007000000000002",
    ]


def test_versions_sort_as_strings_by_age() -> None:
    ages = [timedelta(microseconds=n**4) for n in range(200)]
    images = [image(500 - n, created=NOON - timedelta(hours=13) + age) for n, age in enumerate(ages)]
    names = version_names(*images)
    assert [ids for _, ids in sorted(names.items())] == [[one.id] for one in images]
    assert list(names) == sorted(names)


def test_images_of_one_instant_have_versions_of_their_own() -> None:
    ids = [f"{n:08x}-{n:04x}-4000-8000-000000000000" for n in range(500)]
    images = [*map(image, range(1, 500)), *(image(id=each) for each in ids)]
    assert len(version_names(*images)) == len(images)


@pytest.mark.parametrize(
    "after",
    [
        [image(n, created=NOON + timedelta(seconds=n)) for n in (2, 3)],
        [image(n, created=NOON + timedelta(seconds=n), os_hidden=n == 1) for n in (1, 2, 3)],
        [image(n, created=NOON + timedelta(seconds=n)) for n in (1, 2, 3)]
        + [image(9, created=NOON - timedelta(hours=1))],
        [image(n, created=NOON + timedelta(seconds=n), updated=NOON + timedelta(days=n)) for n in (3, 2, 1)],
        [image(n, created=NOON + timedelta(seconds=n)) for n in (1, 2, 3)]
        + [image(8, created=NOON, hypervisor_type="lxc")],
        [image(n, created=NOON + timedelta(seconds=n), os_version="24.04.1") for n in (1, 3)],
    ],
    ids=["deleted", "hidden", "an older one published", "changed", "another kind of guest", "two ways of saying it"],
)
def test_a_version_name_belongs_to_its_image_for_ever(after: list[Image]) -> None:
    before = version_names(*(image(n, created=NOON + timedelta(seconds=n)) for n in (1, 2, 3)))
    held = version_names(*after)
    # What a mirror holds under a name it never fetches again.
    assert [name for name in held if name in before and held[name] != before[name]] == []
    assert {ids[0] for ids in held.values()} & {ids[0] for ids in before.values()} == {
        before[name][0] for name in held if name in before
    }


def test_the_same_images_in_any_order_give_the_same_bytes() -> None:
    images = [image(n, architecture=arch) for n, arch in enumerate(["x86_64", "s390x", "x86_64"], 1)]
    assert products_of(images, SETTINGS).to_bytes() == products_of(images[::-1], SETTINGS).to_bytes()


def virts(*images: Image) -> dict[str, str | None]:
    settings = SETTINGS.model_copy(update={"virt_types": ("kvm", "lxd")})
    document = products_of(images, settings)
    return {
        item.id or "": item.virt
        for version in document.products[PRODUCT].versions.values()
        for item in version.items.values()
    }


def test_virt_is_written_only_where_it_tells_something() -> None:
    plain, qemu, lxc = image(1), image(2, hypervisor_type="qemu"), image(3, hypervisor_type="lxc")
    assert virts(plain, qemu) == {plain.id: None, qemu.id: None}
    assert virts(plain, lxc) == {plain.id: "kvm", lxc.id: "lxd"}
    assert virts(lxc) == {lxc.id: "lxd"}


def test_images_for_other_guests_than_kvm_are_listed_where_the_settings_say_so() -> None:
    plain, lxc = image(1), image(2, hypervisor_type="lxc")
    assert list(version_names(plain, lxc).values()) == [[plain.id]]
    settings = SETTINGS.model_copy(update={"virt_types": ("lxd",)})
    versions = products_of([plain, lxc], settings).products[PRODUCT].versions
    assert {item.id for version in versions.values() for item in version.items.values()} == {lxc.id}
