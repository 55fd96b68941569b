from __future__ import annotations

from typing import Any

import pytest

from headwater.images.model import Status, Visibility
from headwater.streams.live.placement import Omission, Placement, place
from unit.streams.catalogue import image


@pytest.mark.parametrize(
    ("properties", "product_id"),
    [
        ({}, "com.ubuntu.cloud:server:24.04:amd64"),
        ({"architecture": "aarch64"}, "com.ubuntu.cloud:server:24.04:arm64"),
        ({"architecture": "ppc64le"}, "com.ubuntu.cloud:server:24.04:ppc64el"),
        ({"architecture": "i686"}, "com.ubuntu.cloud:server:24.04:i386"),
        ({"architecture": "armv7l"}, "com.ubuntu.cloud:server:24.04:armhf"),
        ({"architecture": "arm64"}, "com.ubuntu.cloud:server:24.04:arm64"),
        ({"architecture": " X86_64\n"}, "com.ubuntu.cloud:server:24.04:amd64"),
        ({"os_distro": "Ubuntu"}, "com.ubuntu.cloud:server:24.04:amd64"),
        ({"os_version": "24.04.2"}, "com.ubuntu.cloud:server:24.04:amd64"),
        ({"os_version": "24.04 LTS"}, "com.ubuntu.cloud:server:24.04:amd64"),
        ({"simplestreams_stream": "daily"}, "com.ubuntu.cloud.daily:server:24.04:amd64"),
        ({"simplestreams_stream": "released"}, "com.ubuntu.cloud:server:24.04:amd64"),
        ({"os_distro": "centos", "os_version": "7"}, "com.ubuntu.cloud:server:centos7:amd64"),
        ({"os_distro": "centos", "os_version": "9-stream"}, "com.ubuntu.cloud:server:centos9:amd64"),
        ({"os_distro": "opensuse", "os_version": "42.3"}, "com.ubuntu.cloud:server:opensuse42:amd64"),
        ({"os_distro": "debian", "os_version": "12"}, "com.ubuntu.cloud:server:debian12:amd64"),
        ({"os_distro": "opensuse-leap", "os_version": "15.6"}, "com.ubuntu.cloud:server:opensuse-leap15.6:amd64"),
    ],
)
def test_the_properties_give_the_product(properties: dict[str, Any], product_id: str) -> None:
    placement = place(image(1, **properties))
    assert isinstance(placement, Placement)
    assert placement.product_id == product_id


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"visibility": Visibility.PRIVATE}, "visibility"),
        ({"visibility": Visibility.COMMUNITY}, "visibility"),
        ({"status": Status.DEACTIVATED}, "status"),
        ({"os_hidden": True}, "os_hidden"),
        ({"os_distro": None}, "os_distro"),
        ({"os_distro": "a:b"}, "os_distro"),
        ({"os_distro": "sles1", "os_version": "5"}, "os_distro"),
        ({"os_version": None}, "os_version"),
        ({"os_version": "noble"}, "os_version"),
        ({"os_version": "24.04:x"}, "os_version"),
        ({"os_version": "\u0662\u0664.\u0660\u0664"}, "os_version"),
        ({"os_distro": "debian", "os_version": "sid"}, "os_version"),
        ({"os_distro": "debian", "os_version": "1..2"}, "os_version"),
        ({"os_distro": "debian", "os_version": "1" * 33}, "os_version"),
        ({"architecture": None}, "architecture"),
        ({"architecture": "vax"}, "architecture"),
        ({"simplestreams_stream": "a.b"}, "simplestreams_stream"),
        ({"simplestreams_stream": "d" * 33}, "simplestreams_stream"),
        ({"hypervisor_type": "k:v"}, "hypervisor_type"),
        ({"hypervisor_type": "lxc"}, "hypervisor_type"),
        ({"disk_format": "iso"}, "disk_format"),
        ({"container_format": "ovf"}, "container_format"),
        ({"size": 0}, "size"),
        ({"image_type": "snapshot"}, "image_type"),
    ],
)
def test_an_image_without_a_place_says_why(changes: dict[str, Any], word: str) -> None:
    omission = place(image(1, **changes))
    assert isinstance(omission, Omission)
    (reason,) = omission.reasons
    assert word in reason


def test_an_image_without_a_place_gives_every_reason() -> None:
    omission = place(
        image(1, os_hidden=True, os_distro=None, os_version="noble", architecture="vax", disk_format="iso")
    )
    assert isinstance(omission, Omission)
    words = ["os_hidden", "os_distro", "os_version", "architecture", "disk_format"]
    assert [word for word in words if any(word in reason for reason in omission.reasons)] == words
    assert len(omission.reasons) == len(words)


KINDS = ("kvm", "lxd", "xen", "uml", "vz")


@pytest.mark.parametrize(
    ("properties", "virt"),
    [
        ({}, "kvm"),
        ({"hypervisor_type": "qemu"}, "kvm"),
        ({"hypervisor_type": " KVM "}, "kvm"),
        ({"hypervisor_type": "lxc"}, "lxd"),
        ({"hypervisor_type": "LXD"}, "lxd"),
        ({"hypervisor_type": "xen"}, "xen"),
        ({"img_hv_type": "xen"}, "xen"),
        ({"img_hv_type": "qemu", "hypervisor_type": "xen"}, "kvm"),
        ({"vm_mode": "exe"}, "lxd"),
        ({"hw_vm_mode": "xen"}, "xen"),
        ({"hw_vm_mode": "hvm"}, "kvm"),
        ({"vm_mode": "uml"}, "uml"),
    ],
)
def test_what_an_image_says_of_its_guest_gives_juju_s_word_for_it(properties: dict[str, Any], virt: str) -> None:
    placement = place(image(1, **properties), KINDS)
    assert isinstance(placement, Placement)
    assert placement.virt == virt
    assert isinstance(place(image(1, **properties)), Placement if virt == "kvm" else Omission)
