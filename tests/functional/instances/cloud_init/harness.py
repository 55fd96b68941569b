"""Let real cloud-init read a metadata service or a config drive, and print as JSON what it understood.

Run by a Python that has cloud-init's dependencies, with the modules of cloud-init on ``PYTHONPATH``::

    python -m functional.instances.cloud_init.harness openstack URL | ec2 URL | aws URL | nocloud URL
    python -m functional.instances.cloud_init.harness nocloud-serial SERIAL
    python -m functional.instances.cloud_init.harness config-drive DIRECTORY | nocloud-medium DIRECTORY

The data sources run as they would on a booting machine, on a guest that is made up here: its SMBIOS
says OpenStack, or AWS, its network interfaces are those of the network document. Guards keep them from the
rest of this machine (see ``guards.py``). Bytes are printed as base64.
"""

from __future__ import annotations

import argparse
import base64
import copy
import json
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from cloudinit import dmi, helpers, url_helper, util
from cloudinit.sources import DataSourceConfigDrive, DataSourceEc2, DataSourceNoCloud, DataSourceOpenStack
from cloudinit.sources.helpers import openstack
from cloudinit.version import version_string

from functional.instances.cloud_init.guards import Guards
from functional.instances.cloud_init.networks import understood

FIXED_ADDRESS = "http://169.254.169.254"  # the OpenStack data source asks here for the EC2 tree, always


class Guest:
    """The machine that boots: what cloud-init asks of it besides its metadata."""

    def __init__(self, playground: Path, smbios: Mapping[str, str]) -> None:
        self.distribution = SimpleNamespace(fallback_interface="eth0")
        self.requests: list[str] = []
        self.injected: dict[str, bytes] = {}
        self.playground = playground
        self.paths = helpers.Paths({"cloud_dir": str(playground / "cloud"), "run_dir": str(playground / "run")})
        dmi.read_dmi_data = smbios.get
        util.is_x86 = lambda _machine=None: True  # elsewhere cloud-init does not look at SMBIOS
        util.is_resolvable_url = lambda _url: True
        sleep = time.sleep
        time.sleep = lambda _seconds: sleep(0.01)
        tuple(platform.uname())  # cloud-init asks for it, and Python starts a program to find out once

    def watch_requests(self, base_url: str) -> None:
        """Note every request as ``STATUS PATH``, and send those for the fixed address to ``base_url``."""
        read = url_helper.readurl

        def watched(url: str, *arguments: Any, **options: Any) -> Any:
            if url.startswith(FIXED_ADDRESS):
                url = base_url + url.removeprefix(FIXED_ADDRESS)
            path = urlsplit(url).path
            try:
                response = read(url, *arguments, **options)
            except url_helper.UrlError as error:
                self.requests.append(f"{error.code} {path}")
                raise
            self.requests.append(f"{response.code} {path}")
            return response

        url_helper.readurl = watched

    def take_files(self) -> None:
        """Keep injected files instead of writing them into this machine."""
        DataSourceConfigDrive.write_injected_files = lambda files: self.injected.update(files or {})


def read_openstack(guest: Guest, url: str) -> dict[str, Any]:
    """Run the OpenStack data source against a service."""
    guest.watch_requests(url)
    config = {"metadata_urls": [url], "timeout": 5, "retries": 1}
    source = DataSourceOpenStack.DataSourceOpenStack(
        {"datasource": {"OpenStack": config}, "datasource_list": ["OpenStack"]}, guest.distribution, guest.paths
    )
    return {"found": source._get_data(), **_told(source, guest.playground), "ec2": source.ec2_metadata}


def read_ec2(guest: Guest, url: str) -> dict[str, Any]:
    """Run the EC2 data source against a service: as on AWS, with session tokens, where SMBIOS says so."""
    guest.watch_requests(url)
    config = {"metadata_urls": [url], "max_wait": 5, "timeout": 5, "strict_id": "false"}
    source = DataSourceEc2.DataSourceEc2({"datasource": {"Ec2": config}}, guest.distribution, guest.paths)
    found = source._get_data()
    return {
        "found": found,
        "metadata": source.metadata,
        "instance_id": source.get_instance_id() if found else None,
        "availability_zone": source.availability_zone if found else None,
        "public_keys": source.get_public_ssh_keys() if found else None,
        "user_data": source.userdata_raw,
        "user_data_parts": _parts(source) if found else None,
    }


def read_nocloud(guest: Guest, url: str, *, is_configured: bool = True) -> dict[str, Any]:
    """Run the NoCloud data source of the network stage against a seed."""
    guest.watch_requests(url)
    util.get_cmdline = lambda: ""
    config = {"datasource": {"NoCloud": {"fs_label": None} | ({"seedfrom": f"{url}/"} if is_configured else {})}}
    source = DataSourceNoCloud.DataSourceNoCloudNet(config, guest.distribution, guest.paths)
    found = source._get_data()
    # Versions before 24.3 do not ask a seed for it; their code makes of it what newer ones make.
    network = util.load_yaml(url_helper.readurl(f"{url}/network-config").contents)
    return {
        "found": found,
        "metadata": source.metadata,
        "instance_id": source.get_instance_id() if found else None,
        "public_keys": source.get_public_ssh_keys() if found else None,
        "hostname": source.get_hostname().hostname if found else None,
        "user_data": source.userdata_raw,
        "user_data_parts": _parts(source) if found else None,
        "vendor_data": source.vendordata_raw,
        "network": understood(network, guest.playground) if network else None,
    }


def read_nocloud_serial(guest: Guest, serial: str) -> dict[str, Any]:
    """Do the same where SMBIOS' serial number alone says where the seed is."""
    return read_nocloud(guest, serial.partition(";s=")[2].rstrip("/"), is_configured=False)


def read_nocloud_medium(guest: Guest, directory: str) -> dict[str, Any]:
    """Run the NoCloud data source on a copy of a mounted medium."""
    guest.take_files()
    util.get_cmdline = lambda: ""
    shutil.copytree(directory, Path(guest.paths.seed_dir) / "nocloud")
    config = {"datasource": {"NoCloud": {"fs_label": None}}}
    source = DataSourceNoCloud.DataSourceNoCloud(config, guest.distribution, guest.paths)
    found = source._get_data()
    network = source.network_config
    return {
        "found": found,
        "metadata": source.metadata,
        "instance_id": source.get_instance_id(),
        "public_keys": source.get_public_ssh_keys(),
        "user_data": source.userdata_raw,
        "vendor_data": source.vendordata_raw,
        "network": understood(network, guest.playground) if network else None,
    }


def read_config_drive(guest: Guest, directory: str) -> dict[str, Any]:
    """Run the config drive data source on a copy of a mounted drive."""
    guest.take_files()
    shutil.copytree(directory, Path(guest.paths.seed_dir) / "config_drive")
    source = DataSourceConfigDrive.DataSourceConfigDrive(
        {"datasource_list": ["ConfigDrive"]}, guest.distribution, guest.paths
    )
    found = source._get_data()
    return {"found": found, **_told(source, guest.playground), "ec2": source.ec2_metadata, "injected": guest.injected}


def _told(source: Any, playground: Path) -> dict[str, Any]:
    """What both OpenStack data sources make of their documents."""
    network = source.network_json if isinstance(source.network_json, Mapping) else None
    return {
        "version": source.version,
        "metadata": source.metadata,
        "instance_id": source.get_instance_id(),
        "public_keys": source.get_public_ssh_keys(),
        "availability_zone": source.availability_zone,
        "user_data": source.userdata_raw,
        "user_data_parts": _parts(source),
        "vendor_data": source.vendordata_raw,
        "vendor_data2": source.vendordata2_raw,
        "network_json": network,
        "network": None
        if network is None
        else _network(copy.deepcopy(network), playground),  # it changes what it reads
    }


def _parts(source: Any) -> list[str]:
    """Return the types of the parts that the user data is handled as."""
    return [part.get_content_type() for part in source.get_userdata().walk() if not part.is_multipart()]


def _network(network: Mapping[str, Any], playground: Path) -> dict[str, Any]:
    """Return what comes of a network document, on a guest that has its interfaces."""
    macs = [link["ethernet_mac_address"] for link in network["links"] if link["type"] not in ("bond", "vlan")]
    known = {mac.lower(): f"eth{number}" for number, mac in enumerate(macs)}
    return understood(openstack.convert_net_json(network, known_macs=known), playground)


def _printable(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)


READERS = {
    "openstack": read_openstack,
    "ec2": read_ec2,
    "aws": read_ec2,
    "nocloud": read_nocloud,
    "nocloud-serial": read_nocloud_serial,
    "nocloud-medium": read_nocloud_medium,
    "config-drive": read_config_drive,
}
_AWS = "ec2e1916-9099-4caf-bd21-012345abcdef"
SMBIOS: dict[str, dict[str, str]] = {
    "openstack": {"system-product-name": "OpenStack Nova"},
    "aws": {"system-uuid": _AWS, "system-serial-number": _AWS},
}


def main() -> None:
    """Read what the arguments name, and print it."""
    parser = argparse.ArgumentParser(description="What real cloud-init understands of a metadata source, as JSON.")
    parser.add_argument("kind", choices=list(READERS))
    parser.add_argument("source", help="base URL, serial number, or the directory where a config drive is mounted")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as playground:
        told = (
            {"system-serial-number": chosen.source} if chosen.kind == "nocloud-serial" else SMBIOS.get(chosen.kind, {})
        )
        guest = Guest(Path(playground), told)
        Guards(Path(playground))
        found = READERS[chosen.kind](guest, chosen.source)
        sys.stdout.write(
            json.dumps({**found, "release": version_string(), "requests": guest.requests}, default=_printable) + "\n"
        )


if __name__ == "__main__":
    main()
