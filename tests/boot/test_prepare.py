"""``headwater image prepare`` on real disks, with libguestfs: what is told of them, and what is mended in copies."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from boot.conftest import DISK
from functional.headwater_process import run_headwater
from needs import not_run, program

pytestmark = pytest.mark.timeout(900)  # libguestfs's machine in software, where others run beside it

LOOK_S = 600
GRUB_CFG = "menuentry 'Old' {\n\tlinux /boot/vmlinuz-3.10.0 root=/dev/sda1 ro\n\tinitrd /boot/initramfs-3.10.0.img\n}\n"
FILES = {
    "etc/os-release": 'NAME="Old Linux"\nID=debian\nVERSION_ID="7"\n',
    "etc/debian_version": "7.1\n",
    "etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n",
    "etc/hostname": "old\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/shadow": "root:$6$salt$hashhashhash:1::::::\nopen::1::::::\nlocked:!:1::::::\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/ssh/sshd_config": "PermitRootLogin yes\n",
    "etc/ssh/ssh_host_rsa_key": "a key\n",
    "etc/udev/rules.d/70-persistent-net.rules": 'SUBSYSTEM=="net", ATTR{address}=="00:0c:29:aa:bb:cc", NAME="eth0"\n',
    "etc/default/grub": 'GRUB_CMDLINE_LINUX="quiet"\n',
    "boot/grub/grub.cfg": GRUB_CFG,
    "boot/initramfs-3.10.0.img": "no archive\n",
    "lib/modules/3.10.0/modules.dep": "kernel/drivers/net/virtio_net.ko:\nkernel/drivers/block/virtio_blk.ko:\n",
    "usr/sbin/sshd": "",
    "usr/lib/systemd/system/sshd-keygen.service": "",
    "bin/sh": "\x7fELF\x02\x01\x01" + "\0" * 9 + "\x02\0\x3e\0\x01" + "\0" * 43,  # for x86-64
    "sbin/init": "",
    "var/lib/dpkg/status": "",
}


@pytest.fixture(autouse=True)
def _libguestfs() -> None:
    tried = subprocess.run(["/usr/bin/python3", "-I", "-c", "import guestfs"], capture_output=True, check=False)
    if tried.returncode:
        not_run("libguestfs (python3-guestfs)", "run 'make test-boot'")


def prepared(directory: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
    command = ("image", "prepare", *words, "--no-kvm", "--json")
    done = run_headwater(*command, directory=directory, timeout_s=LOOK_S)
    document: dict[str, Any] = json.loads(done.stdout)
    assert "error" not in document, document
    return done.returncode, document


def rules(document: dict[str, Any]) -> set[str]:
    return {each["rule"] for each in document["findings"]}


def text_in(disk: Path, path: str) -> str:
    """Return a file of a raw disk that is one ext file system; of one that is not there, nothing."""
    command = [str(program("debugfs")), "-c", "-R", f"cat {path}", str(disk)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def legacy(tmp_path: Path) -> Path:
    """A raw disk with what an old host leaves, and files on which a reader would wait, or go round, for ever."""
    tree, file = tmp_path / "tree", tmp_path / "legacy.raw"
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    for name in ("etc/network", "etc/cloud/cloud.cfg.d"):
        (tree / name).mkdir(parents=True)
    os.mkfifo(tree / "etc/network/interfaces")
    (tree / "etc/cloud/cloud.cfg").symlink_to("/dev/zero")
    (tree / "etc/cloud/cloud.cfg.d/round.cfg").symlink_to("round.cfg")
    command = [str(program("mkfs.ext4")), "-q", "-d", str(tree), "-U", str(uuid.uuid4()), str(file), "32M"]
    subprocess.run(command, check=True)
    return file


def test_what_a_legacy_host_left_is_mended_in_a_copy(legacy: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.raw"
    before = hashlib.sha256(legacy.read_bytes()).digest()

    code, said = prepared(tmp_path, legacy, "--write", copy, "--skip", "persistent-net")
    assert code == 1
    assert hashlib.sha256(legacy.read_bytes()).digest() == before
    assert [each["name"] for each in said["mended"]] == ["host-keys", "machine-id", "serial-console"]
    assert said["failed"] == {}
    assert "hashhash" not in json.dumps(said)
    assert (said["guest"]["architecture"], said["guest"]["loaders"]) == ("x86_64", ["grub"])
    assert said["guest"]["accounts"] == {"root": "set", "open": "empty"}
    assert {"no-cloud-init", "network-rules", "drives-by-name", "password-empty"} <= rules(said)
    assert not {"ssh-host-keys", "machine-id", "no-serial-console"} & rules(said)
    assert said["properties"] | {"os_distro": "debian", "os_version": "7"} == said["properties"]

    assert text_in(copy, "/etc/machine-id") == text_in(copy, "/etc/ssh/ssh_host_rsa_key") == ""
    assert (
        text_in(copy, "/etc/udev/rules.d/70-persistent-net.rules") == FILES["etc/udev/rules.d/70-persistent-net.rules"]
    )
    consoles = "console=tty0 console=ttyS0,115200"
    assert text_in(copy, "/etc/default/grub") == f'GRUB_CMDLINE_LINUX="quiet {consoles}"\n'
    assert text_in(copy, "/boot/grub/grub.cfg") == GRUB_CFG.replace("ro\n", f"ro {consoles}\n")


def test_what_takes_too_long_leaves_nothing(legacy: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = ("image", "prepare", legacy, "--write", tmp_path / "copy.raw", "--time", "1", "--no-kvm")
    done = run_headwater(*words, directory=tmp_path, env={"TMPDIR": str(scratch)}, timeout_s=LOOK_S)
    assert done.returncode != 0
    assert "it took longer than 1 s" in done.stderr
    assert list(scratch.iterdir()) == []
    assert [each.name for each in tmp_path.iterdir() if "copy" in each.name] == []


def test_packages_are_put_in_by_the_guest_itself(tmp_path: Path) -> None:
    if not DISK.exists():
        not_run("a disk to boot from (.cache/boot)", "run 'make test-boot'")
    control = tmp_path / "package" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    facts = ("Package: headwater-marker", "Version: 9", "Architecture: all", "Maintainer: a <a@example.org>")
    control.write_text("\n".join((*facts, "Description: a marker", "")))
    script = control.with_name("postinst")
    script.write_text("#!/bin/sh\ntouch /etc/cloud/cloud-init.disabled\n")
    script.chmod(0o755)
    packages, copy = tmp_path / "packages", tmp_path / "copy.qcow2"
    packages.mkdir()
    # The first by name wants the other one whole before it is unpacked, as python3-minimal does.
    eager = tmp_path / "eager" / "DEBIAN" / "control"
    eager.parent.mkdir(parents=True)
    told = (
        "Package: a-headwater-marker",
        *facts[1:],
        "Pre-Depends: headwater-marker",
        "Description: another marker",
        "",
    )
    eager.write_text("\n".join(told))
    for tree in (tmp_path / "package", tmp_path / "eager"):
        command = [str(program("dpkg-deb")), "--build", "--root-owner-group", str(tree), str(packages)]
        subprocess.run(command, check=True, capture_output=True)

    code, said = prepared(tmp_path, DISK, "--write", copy, "--packages", packages)
    assert said["failed"] == {}
    assert {"cloud-init", "host-keys"} <= {each["name"] for each in said["mended"]}
    assert (code, rules(said) & {"cloud-init-disabled", "ssh-host-keys"}) == (1, {"cloud-init-disabled"})
    assert said["disk"]["format"] == "qcow2"
    assert said["guest"]["virtio"] == dict.fromkeys(("virtio_blk", "virtio_scsi", "virtio_net"), "initramfs")
    expected = {"os_distro": "debian", "hw_disk_bus": "virtio", "hw_vif_model": "virtio", "hw_firmware_type": "bios"}
    assert said["properties"] | expected == said["properties"]
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".copy")] == []
