"""A server of Nova, with what belongs to it, to an instance. Pure: nothing is asked here."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from headwater.clock import microseconds
from headwater.instances.addresses import canonical
from headwater.instances.errors import InstanceInvalid
from headwater.instances.keys import Key, key_name
from headwater.instances.model import DEFAULT_BLOCK_DEVICES, Instance
from headwater.instances.names import NAME_LIMIT, hostname_from, is_uuid, require_hostname
from headwater.instances.sources.openstack.documents import KeyPair, Port, Server

_NO_LINE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that the cloud tells of one instance."""

    server: Server
    key_pair: KeyPair | None = None  # None: there is none, or it was removed since
    ports: Sequence[Port] = ()  # in the order of the interfaces
    network_data: Mapping[str, Any] | None = None
    volumes: Sequence[str] = ()  # the names of their devices


def instance(known: Known, *, dhcp_domain: str) -> Instance:
    """Return what the cloud's own metadata service would tell; equal answers of the cloud make equal instances.

    Args:
        dhcp_domain: What host names end with that have no domain; empty: nothing.

    Raises:
        InstanceInvalid: The cloud says what no guest could use.
    """
    server = known.server
    made_at = _time(server.created)
    return Instance(
        id=server.id.lower(),
        name=_name(server),
        hostname=_hostname(server, dhcp_domain),
        created_at=made_at,
        updated_at=made_at,
        project_id=server.tenant_id,
        addresses=tuple(dict.fromkeys(canonical(fixed.ip_address) for port in known.ports for fixed in port.fixed_ips)),
        public_ipv4=_floating(server),
        keys=() if known.key_pair is None else (_key(known.key_pair),),
        user_data=_user_data(server),
        meta=server.metadata,
        image_id=_image(server.image),
        kernel_id=_image({"id": server.kernel_id}),
        ramdisk_id=_image({"id": server.ramdisk_id}),
        instance_type=server.flavor.original_name or None,
        availability_zone=server.availability_zone or None,
        launch_index=server.launch_index or 0,
        reservation_id=server.reservation_id or None,
        security_groups=tuple(dict.fromkeys(name for group in server.security_groups if (name := group.name.strip()))),
        block_devices=_block_devices(server.root_device_name, known.volumes),
        network_data=known.network_data,
    )


def in_order(ports: Iterable[Port], server: Server) -> list[Port]:
    """Return ports in the order of the interfaces, which Nova knows and Neutron does not."""
    listed = [each.mac for addresses in server.addresses.values() for each in addresses]
    places = {mac: place for place, mac in reversed(list(enumerate(listed)))}
    return sorted(ports, key=lambda port: (places.get(port.mac_address, len(listed)), port.id))


def _name(server: Server) -> str:
    name = _NO_LINE.sub(" ", server.name).strip()[:NAME_LIMIT].strip() or f"server-{server.id[:8]}"
    return f"server-{name}" if is_uuid(name.lower()) else name


def _hostname(server: Server, dhcp_domain: str) -> str:
    said = server.hostname or hostname_from(server.name, server.id)
    whole = f"{said}.{dhcp_domain}" if dhcp_domain and "." not in said else said
    try:
        require_hostname(whole)
    except InstanceInvalid:
        return hostname_from(whole, server.id)
    return whole


def _time(text: str) -> int:
    try:
        return microseconds(datetime.fromisoformat(text)) or 0
    except ValueError:
        return 0


def _floating(server: Server) -> str | None:
    every = (each for addresses in server.addresses.values() for each in addresses)
    return next((canonical(each.addr) for each in every if each.kind == "floating" and each.version == 4), None)


def _key(pair: KeyPair) -> Key:
    name = key_name(pair.name) or "key"
    if pair.type == "x509":
        return Key(name=name, data=pair.public_key, type="x509")
    return Key(name=name, data=pair.public_key.strip())


def _user_data(server: Server) -> bytes | None:
    if server.user_data is None:
        return None
    try:
        return base64.b64decode("".join(server.user_data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InstanceInvalid("user data", "the cloud keeps something that is no base64") from error


def _image(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else None
    return found.lower() if isinstance(found, str) and is_uuid(found.lower()) else None


def _block_devices(root: str | None, volumes: Sequence[str]) -> dict[str, str]:
    """Source: Nova, which knows a root device that it did not choose by name as little as we do.

    Its volumes are numbered by the names of their devices, that of the root among them.
    """
    if not root:
        return dict(DEFAULT_BLOCK_DEVICES)
    attached = {f"ebs{number}": name for number, name in enumerate(sorted(volumes))}
    return {"ami": root.removeprefix("/dev/"), "root": root, **attached}
