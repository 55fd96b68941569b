"""What files of a system are taken to say."""

from __future__ import annotations

import msgspec
import pytest

from headwater.images.preparing.asking import Gathered, Kernel
from headwater.images.preparing.facts import guest_in
from unit.images.preparing.guests import CLEAN, LEGACY, guest, more


def test_a_legacy_guest_is_told_of() -> None:
    found = guest()
    assert (found.type, found.distribution, found.version, found.architecture) == ("linux", "debian", "12", "x86_64")
    assert found.virtio == {"virtio_blk": "module", "virtio_scsi": "missing", "virtio_net": "module"}
    assert found.machine_id == "0123456789abcdef0123456789abcdef"
    assert found.loaders == ("grub",)
    assert found.cloud_init is None
    assert found.drives_by_name == ("/dev/sda1",)
    assert found.fixed_network == ("/etc/network/interfaces",)
    assert found.network_rules == ("/etc/udev/rules.d/70-persistent-net.rules",)
    assert found.serial_console is False
    assert (found.ssh.password_authentication, found.ssh.permit_root_login) == (None, "yes")
    assert len(found.ssh.host_keys) == 2


def test_a_disk_without_a_system_has_no_guest() -> None:
    assert guest_in(Gathered(), None) is None


@pytest.mark.parametrize(
    ("initramfs", "reach"),
    [(None, "unknown"), (frozenset(), "module"), (frozenset({"virtio_blk"}), "initramfs")],
    ids=["not-read", "not-in-it", "in-it"],
)
def test_a_driver_counts_where_it_is_at_boot(initramfs: frozenset[str] | None, reach: str) -> None:
    assert guest(LEGACY, initramfs).virtio["virtio_blk"] == reach


def test_a_driver_that_is_built_in_needs_no_ram_disk() -> None:
    kernel = Kernel(builtin=("kernel/drivers/block/virtio_blk.ko",))
    assert guest(msgspec.structs.replace(LEGACY, kernels={"6.1.0": kernel}), None).virtio["virtio_blk"] == "built in"


def test_the_version_of_cloud_init_is_that_of_its_package() -> None:
    found = guest(CLEAN).cloud_init
    assert found is not None
    assert found.version == "22.4.2"


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("datasource_list: [ ConfigDrive, 'OpenStack', None ]\n", ("ConfigDrive", "OpenStack", "None")),
        ("datasource_list:\n  - VMware\n  - OVF\nother: 1\n", ("VMware", "OVF")),
        ("datasource_list: []\n", ()),
        ("#datasource_list: [Ec2]\n", None),
    ],
    ids=["flow", "block", "empty", "comment"],
)
def test_data_sources_are_those_of_the_last_file(text: str, sources: tuple[str, ...] | None) -> None:
    texts = {"/etc/cloud/cloud.cfg.d/90_dpkg.cfg": text}
    if sources is not None:
        texts["/etc/cloud/cloud.cfg"] = "datasource_list: [Azure]\n"
    found = guest(more(CLEAN, **texts)).cloud_init
    assert found is not None
    assert found.sources == sources


def test_cloud_init_is_disabled_by_a_file_or_by_the_command_line() -> None:
    by_file = guest(more(CLEAN, "/etc/cloud/cloud-init.disabled")).cloud_init
    text = "\tlinux /vmlinuz root=/dev/vda1 cloud-init=disabled\n"
    by_word = guest(more(CLEAN, **{"/boot/grub/grub.cfg": text})).cloud_init
    assert by_file is not None
    assert by_word is not None
    assert by_file.disabled_by == "/etc/cloud/cloud-init.disabled"
    assert by_word.disabled_by == "cloud-init=disabled on the kernel's command line"


def test_a_file_beside_sshd_config_comes_before_it_and_blocks_for_some_do_not_count() -> None:
    texts = {
        "/etc/ssh/sshd_config": "PasswordAuthentication yes\nMatch User a\nPermitRootLogin yes\n",
        "/etc/ssh/sshd_config.d/50-cloud.conf": "PasswordAuthentication no\n",
    }
    found = guest(more(CLEAN, **texts)).ssh
    assert (found.password_authentication, found.permit_root_login) == (False, None)


@pytest.mark.parametrize(
    ("texts", "machine_id"),
    [({}, ""), ({"/etc/machine-id": "uninitialized\n"}, ""), ({"/var/lib/dbus/machine-id": "abc\n"}, "abc")],
    ids=["empty", "uninitialized", "of-dbus"],
)
def test_the_machine_id_is_what_would_be_shared(texts: dict[str, str], machine_id: str) -> None:
    assert guest(more(CLEAN, **texts)).machine_id == machine_id
