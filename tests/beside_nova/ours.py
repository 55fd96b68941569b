"""The machines as instances of ours, and what we tell them."""

from __future__ import annotations

import base64
from dataclasses import replace

import msgspec

from beside_nova.machines import Machine
from headwater.instances.devices import Disk, Nic, Share
from headwater.instances.media.config_drive import drive_files
from headwater.instances.model import File, Instance
from headwater.instances.registry.rows import Record
from headwater.instances.snapshots.snapshot import render
from headwater.instances.sources.openstack.documents import KeyPair, Network, Port, Server, Subnet
from headwater.instances.sources.openstack.networks import network_data
from headwater.instances.sources.openstack.servers import Known, instance
from headwater.instances.trees.document import Document

VENDOR_DATA = {"cloud-init": "#cloud-config\nruncmd: [true]\n", "länder": ["ß", 1, None]}


def instance_of(machine: Machine) -> Instance:
    """Return what the cloud's answers make, with what only a compute node knows."""
    ports = msgspec.convert(machine["ports"], list[Port])
    subnets = {each.id: each for each in msgspec.convert(machine["subnets"], list[Subnet])}
    networks = {each.id: each for each in msgspec.convert(machine["networks"], list[Network])}
    known = Known(
        server=msgspec.convert(machine["server"], Server),
        key_pair=msgspec.convert(machine["keypair"], KeyPair | None),
        ports=ports,
        network_data=network_data(ports, subnets, networks),
    )
    found = instance(known, dhcp_domain="novalocal")
    return replace(
        found,
        vendor_data=VENDOR_DATA,
        block_devices=machine.get("block_devices", found.block_devices),
        devices=msgspec.convert(machine.get("devices", ()), tuple[Nic | Disk | Share, ...]),
        dedicated_cpus=tuple(machine.get("dedicated_cpus", ())),
        files=tuple(File(path=each["path"], data=base64.b64decode(each["data"])) for each in machine["files"]),
    )


def documents(machine: Machine) -> dict[str, Document]:
    """Return the documents of the two trees by the path that a guest asks for."""
    record = Record(instance=instance_of(machine), replaced=None)
    found = render(record, in_grace=False).documents
    return {
        f"/{name}".removeprefix("/ec2") or "/": document
        for name, document in found.items()
        if not name.startswith("nocloud")
    }


def drive(machine: Machine) -> dict[str, bytes]:
    """Return the files of the config drive."""
    return drive_files(instance_of(machine), bytes)
