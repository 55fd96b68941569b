"""What cloudbase-init's own services read: run by a Python that has it, with a JSON object on standard input.

``{"openstack": URL, "ec2": URL, "config_drive": DIRECTORY, "nocloud": DIRECTORY, "password": BASE64}``; each is
optional, and a directory holds what lies on the medium. It prints a JSON object with what each service says.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

from cloudbaseinit import conf
from cloudbaseinit.metadata.services.configdrive import ConfigDriveService
from cloudbaseinit.metadata.services.ec2service import EC2Service
from cloudbaseinit.metadata.services.httpservice import HttpService
from cloudbaseinit.metadata.services.nocloudservice import NoCloudConfigDriveService


def told(service: Any) -> dict[str, Any]:
    found = {
        "instance_id": service.get_instance_id(),
        "host_name": service.get_host_name(),
        "public_keys": service.get_public_keys(),
        "user_data": base64.b64encode(service.get_user_data()).decode(),
        "can_post_password": service.can_post_password,
    }
    network = service.get_network_details_v2()
    if network is not None:
        found["links"] = [[link.name, link.mac_address, link.mtu] for link in network.links]
        found["networks"] = [
            [each.link, each.address_cidr, list(each.dns_nameservers or ()), [list(route) for route in each.routes]]
            for each in network.networks
        ]
    return found


def over_http(service: Any) -> Any:
    if not service.load():
        raise SystemExit(f"{service.get_name()} does not load")
    return service


def on_medium(service: Any, directory: str) -> Any:
    """Give a service a medium that it has found: to look for one it needs Windows."""
    service._metadata_path = str(Path(directory))
    return service


def main() -> None:
    asked = json.load(sys.stdin)
    conf.CONF([], project="cloudbase-init", default_config_files=[])
    for section in ("openstack", "ec2"):
        conf.CONF.set_override("metadata_base_url", asked.get(section, "http://127.0.0.1:1/"), group=section)
        conf.CONF.set_override("add_metadata_private_ip_route", False, group=section)
    conf.CONF.set_override("retry_count", 1)
    found: dict[str, Any] = {}
    if "openstack" in asked:
        service = over_http(HttpService())
        if "password" in asked:
            found["posted"] = bool(service.post_password(asked["password"].encode()))
            found["is_password_set"] = bool(service.is_password_set)
        found["openstack"] = told(service)
    if "ec2" in asked:
        found["ec2"] = told(over_http(EC2Service()))
    if "config_drive" in asked:
        found["config_drive"] = told(on_medium(ConfigDriveService(), asked["config_drive"]))
    if "nocloud" in asked:
        found["nocloud"] = told(on_medium(NoCloudConfigDriveService(), asked["nocloud"]))
    json.dump(found, sys.stdout)


main()
