"""ds-identify, of both releases, finds what we tell by SMBIOS and on media: without it nothing of cloud-init runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from headwater.instances.media.arguments import carried
from headwater.instances.media.config_drive import Layout, write_config_drive
from headwater.instances.media.writing.file import Kind
from needs import program
from unit.instances.examples import WEB_1

SEED = "http://192.0.2.1:8775/seed/0123456789/"
MACHINE = {"sys_vendor": "QEMU", "product_name": "Standard PC", "product_uuid": WEB_1.id, "product_serial": ""}


class Machine:
    """A guest as ds-identify sees one: SMBIOS, its disks, and nothing of this machine."""

    def __init__(self, root: Path, modules: Path) -> None:
        self.root, self.script = root, modules.parents[1] / "cloud-init" / "ds-identify"
        self.programs = root / "programs"
        for directory in ("sys/class/dmi/id", "proc/1", "run/cloud-init", "run/systemd", "programs"):
            (root / directory).mkdir(parents=True)
        (root / "proc/cmdline").write_text("root=/dev/vda1 ro\n")
        (root / "proc/1/environ").write_text("")
        self._answer("systemd-detect-virt", "echo kvm")

    def _answer(self, name: str, script: str) -> None:
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def finds(self, *, disks: tuple[Path, ...] = (), **smbios: str) -> list[str]:
        """Return the data sources that cloud-init would try; none if it would not run."""
        for name, value in {**MACHINE, **smbios}.items():
            (self.root / "sys/class/dmi/id" / name).write_text(f"{value}\n")
        blkid = program("blkid")
        self._answer("blkid", "; echo; ".join(["true", *(f"'{blkid}' -p -o export '{disk}'" for disk in disks)]))
        done = subprocess.run(
            ["sh", self.script, "--force"],
            env={
                "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
                "PATH_ROOT": str(self.root),
                "SYSTEMD_VIRTUALIZATION": "vm:kvm",
                "DI_LOG": "stderr",
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            return []
        (line,) = [
            each
            for each in (self.root / "run/cloud-init/cloud.cfg").read_text().splitlines()
            if each.startswith("datasource_list:")
        ]
        return [each for each in line.partition("[")[2].rstrip("] ").replace(",", " ").split() if each != "None"]


@pytest.fixture
def machine(cloud_init_modules: Path, tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root", cloud_init_modules)


def test_a_machine_that_is_told_nothing_has_no_data_source(machine: Machine) -> None:
    assert machine.finds() == []


@pytest.mark.parametrize("product", ["OpenStack Nova", "OpenStack Compute"])
def test_the_product_names_openstack(machine: Machine, product: str) -> None:
    assert machine.finds(product_name=product) == ["OpenStack"]


def test_the_serial_number_that_we_print_leads_to_nocloud(machine: Machine) -> None:
    serial = carried(WEB_1, seed_url=SEED).serial
    assert serial is not None
    assert machine.finds(product_serial=serial) == ["NoCloud"]


def test_an_id_that_begins_with_ec2_leads_to_the_data_source_that_asks_for_tokens(machine: Machine) -> None:
    aws = "ec2e1916-9099-4caf-bd21-012345abcdef"
    assert machine.finds(product_uuid=aws, product_serial=aws) == ["Ec2"]


@pytest.mark.parametrize(("layout", "source"), [("openstack", "ConfigDrive"), ("nocloud", "NoCloud")])
@pytest.mark.parametrize("kind", ["iso9660", "vfat"])
def test_our_media_are_found(machine: Machine, tmp_path: Path, layout: Layout, source: str, kind: Kind) -> None:
    write_config_drive(WEB_1, tmp_path / "drive", 1_700_000_000, layout=layout, kind=kind)
    assert machine.finds(disks=(tmp_path / "drive",)) == [source]
