from __future__ import annotations

import io
import lzma
import tarfile
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from headwater.images.model import Status, Visibility
from headwater.streams.live.files.placement import FilePlacement, made_metadata, place_files
from headwater.streams.live.placement import Omission
from unit.streams.catalogue import image

HASH = "ab" * 64


def placed(**changes: Any) -> FilePlacement:
    at = place_files(image(1, **{"os_hash_value": HASH, **changes}))
    assert isinstance(at, FilePlacement), at
    return at


@pytest.mark.parametrize(
    ("changes", "product", "aliases"),
    [
        ({}, "ubuntu:noble:amd64:default", "ubuntu/noble,ubuntu/24.04,ubuntu/noble/default,ubuntu/24.04/default"),
        ({"os_version": "24.04.2 LTS"}, "ubuntu:noble:amd64:default", None),
        ({"os_version": "99.04"}, "ubuntu:99.04:amd64:default", "ubuntu/99.04,ubuntu/99.04/default"),
        ({"os_distro": "Debian", "os_version": "12"}, "debian:bookworm:amd64:default", None),
        (
            {"os_distro": "centos", "os_version": "9-stream"},
            "centos:9-stream:amd64:default",
            "centos/9-stream,centos/9-stream/default",
        ),
        ({"architecture": "aarch64"}, "ubuntu:noble:arm64:default", None),
        (
            {"simplestreams_variant": " Cloud "},
            "ubuntu:noble:amd64:cloud",
            "ubuntu/noble/cloud,ubuntu/24.04/cloud",
        ),
        ({"simplestreams_stream": "daily"}, "ubuntu:noble:amd64:daily", "ubuntu/noble/daily,ubuntu/24.04/daily"),
        (
            {"simplestreams_stream": "daily", "simplestreams_variant": "cloud"},
            "ubuntu:noble:amd64:cloud-daily",
            None,
        ),
        ({"simplestreams_stream": "Released"}, "ubuntu:noble:amd64:default", None),
        (
            {"os_distro": "alpine", "os_version": "3.22", "simplestreams_release": "edge"},
            "alpine:edge:amd64:default",
            "alpine/edge,alpine/3.22,alpine/edge/default,alpine/3.22/default",
        ),
        (
            {"simplestreams_variant": "v" * 24, "simplestreams_stream": "s" * 32},
            f"ubuntu:noble:amd64:{'v' * 24}-{'s' * 32}",
            None,
        ),
    ],
)
def test_a_product_is_named_by_what_the_properties_say(
    changes: dict[str, Any], product: str, aliases: str | None
) -> None:
    at = placed(**changes)
    assert at.product_id == product
    if aliases is not None:
        assert at.about.facts["aliases"] == aliases


@pytest.mark.parametrize(
    ("disk_format", "ftype"), [("qcow2", "disk-kvm.img"), ("squashfs", "squashfs"), ("root-tar", "root.tar.xz")]
)
def test_the_format_says_what_the_data_is_for_the_readers(disk_format: str, ftype: str) -> None:
    assert placed(disk_format=disk_format).ftype == ftype


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"disk_format": "raw"}, ["disk_format is raw"]),
        ({"disk_format": "iso", "visibility": Visibility.SHARED}, ["its visibility", "disk_format is iso"]),
        ({"disk_format": None, "status": Status.QUEUED, "size": None, "os_hash_value": None}, ["its status"]),
        ({"hypervisor_type": "xen"}, ["hypervisor_type makes it one for xen guests"]),
        ({"disk_format": "squashfs", "hypervisor_type": "vmware"}, ["hypervisor_type makes it one for vmware"]),
        ({"os_hash_value": None}, ["os_hash_value is not set"]),
        ({"support_eol": "2029-02-30"}, ["support_eol is not a date"]),
        ({"support_eol": "20290228"}, ["support_eol is not a date"]),
        ({"support_eol": "2029-W22-4"}, ["support_eol is not a date"]),
        ({"simplestreams_release": "r" * 33}, ["simplestreams_release"]),
        ({"simplestreams_variant": "v" * 25}, ["simplestreams_variant"]),
        ({"simplestreams_release": "a/b"}, ["simplestreams_release"]),
        ({"os_distro": None, "architecture": "vax"}, ["os_distro", "architecture"]),
        ({"size": 0, "image_type": "snapshot"}, ["it has no data", "image_type"]),
    ],
)
def test_what_is_no_image_for_the_readers_is_told_why(changes: dict[str, Any], reasons: list[str]) -> None:
    at = place_files(image(1, **{"os_hash_value": HASH, **changes}))
    assert isinstance(at, Omission)
    assert [told.startswith(reason) for told, reason in zip(at.reasons, reasons, strict=True)] == [True] * len(reasons)


@pytest.mark.parametrize("disk_format", ["qcow2", "squashfs"])
@pytest.mark.parametrize("guest", ["", "qemu", "kvm"])
def test_guests_of_the_usual_kind_are_no_obstacle(disk_format: str, guest: str) -> None:
    assert placed(disk_format=disk_format, hypervisor_type=guest)
    assert placed(disk_format="squashfs", hypervisor_type="lxc")


def test_a_machine_that_does_not_boot_signed_says_so() -> None:
    assert placed(os_secure_boot="Disabled").about.requirements == {"secureboot": "false"}
    assert placed(os_secure_boot="required").about.requirements == {}


def told(body: bytes) -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(body))) as tar:
        [name] = tar.getnames()
        file = tar.extractfile(name)
        assert (name, file is not None) == ("metadata.yaml", True)
        found: dict[str, Any] = yaml.safe_load(file.read())  # type: ignore[union-attr]  # see above
        return found


def test_the_metadata_says_what_the_image_is_and_follows_from_it_alone() -> None:
    one = image(1, os_hash_value=HASH, support_eol="2029-05-31", description="Für alle\n: {}", updated=None)
    at = place_files(one)
    assert isinstance(at, FilePlacement)
    assert made_metadata(one, at) == made_metadata(one, at)
    document = told(made_metadata(one, at))
    assert (document["architecture"], document["creation_date"]) == ("x86_64", one.created_at // 1_000_000)
    assert document["expiry_date"] == 1_874_880_000
    assert document["properties"] == {
        "os": "ubuntu",
        "release": "noble",
        "version": "24.04",
        "architecture": "amd64",
        "variant": "default",
        "serial": "20260721.120000000000000000000001",
        "name": "ubuntu-noble-amd64-default-20260721.120000000000000000000001",
        "description": "Für alle\n: {}",
    }
    plain = image(1, os_hash_value=HASH)
    there = place_files(plain)
    assert isinstance(there, FilePlacement)
    assert "expiry_date" not in told(made_metadata(plain, there))


_words = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"[a-z0-9._+-]{1,40}", fullmatch=True),
    st.sampled_from(["2029-W22-4", "0001-01-01", "9999-12-31", "24.04", "12", "ubuntu", "debian", "x86_64", "\u0664"]),
)


def test_the_longest_words_make_names_that_readers_take() -> None:
    words = {"simplestreams_release": "r" * 32, "simplestreams_variant": "v" * 24, "simplestreams_stream": "s" * 32}
    at = placed(properties={**_longest, **words})
    assert at.about.variant == f"{'v' * 24}-{'s' * 32}"
    assert made_metadata(image(1, os_hash_value=HASH), at)


_longest = {"os_distro": "d" * 32, "os_version": "1" * 32, "architecture": "x86_64"}


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "os_distro",
                "os_version",
                "simplestreams_release",
                "simplestreams_variant",
                "simplestreams_stream",
                "support_eol",
                "description",
                "os_secure_boot",
                "hypervisor_type",
            ]
        ),
        _words,
    )
)
def test_whatever_the_properties_say_an_image_stands_somewhere_or_is_told_why(properties: dict[str, str]) -> None:
    """One image whose properties raised would take all others out of the feed."""
    one = image(1, os_hash_value=HASH, properties={**_longest, **properties})
    at = place_files(one)
    assert isinstance(at, FilePlacement) or at.reasons
    if isinstance(at, FilePlacement):
        assert len(at.product_id) <= 255
        assert made_metadata(one, at)
