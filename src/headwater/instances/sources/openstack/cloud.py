"""The cloud, asked: Nova for a server and its key pair, Neutron for its ports and what they are in.

Blocking, and safe to use from several threads. Five questions make an instance, and one more where it has volumes, each
with its own limits of time and size; nothing is remembered here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import structlog

from headwater.identity.keystone.catalogue import ServiceCatalogue
from headwater.identity.keystone.peer import Peer, PeerUnavailable
from headwater.instances.errors import InstanceInvalid
from headwater.instances.model import Instance
from headwater.instances.names import is_uuid
from headwater.instances.sources.openstack.documents import (
    MICROVERSION,
    AttachmentsAnswer,
    KeyPair,
    KeyPairAnswer,
    Network,
    NetworksAnswer,
    Port,
    PortsAnswer,
    Server,
    ServerAnswer,
    Subnet,
    SubnetsAnswer,
)
from headwater.instances.sources.openstack.networks import network_data
from headwater.instances.sources.openstack.servers import Known, in_order, instance
from headwater.instances.sources.openstack.settings import OpenStackSettings
from headwater.instances.sources.remembering import Unserved

T = TypeVar("T")

_LIMIT: Final = 8 << 20  # bytes of one answer
_VERSIONED: Final = re.compile(r"/v2(\.[0-9]+)?(/|$)", re.ASCII)
_IDS_AT_ONCE: Final = 40  # in one URL
_COMPUTE: Final = {"OpenStack-API-Version": f"compute {MICROVERSION}", "X-OpenStack-Nova-API-Version": MICROVERSION}
_LOG = structlog.get_logger(__name__)


class CloudUnclear(Unserved):
    """The cloud knows the instance, and says of it what cannot be served."""

    def __init__(self, instance_id: str, problem: str) -> None:
        super().__init__(f"the cloud says of instance {instance_id} what cannot be served: {problem}")
        self.instance_id, self.problem = instance_id, problem


class CloudRefuses(PeerUnavailable):
    """A service of the cloud knows us, and its rules do not let us see something."""


class Cloud:
    """One OpenStack cloud."""

    def __init__(self, settings: OpenStackSettings) -> None:
        """Prepare; nothing is asked yet, so a cloud that is down keeps nobody from starting.

        Raises:
            SettingsError: ``cafile`` cannot be read.
        """
        self._peer = Peer(
            settings,
            cafile=settings.cafile,
            cafile_setting="section [metadata.openstack], key 'cafile'",
            timeout_s=settings.timeout_s,
            insecure=settings.insecure,
        )
        self._catalogue = ServiceCatalogue(settings)
        self._endpoints = {"compute": settings.compute_endpoint, "network": settings.network_endpoint}
        self._dhcp_domain = settings.dhcp_domain

    def instance(self, instance_id: str) -> Instance | None:
        """Return an instance by its id; ``None``: the cloud has none.

        Raises:
            Unavailable: The cloud does not tell.
        """
        if not is_uuid(instance_id):
            return None
        found = self._ask("compute", f"/servers/{instance_id}", ServerAnswer)
        if found is None:
            return None
        if found.server.id.lower() != instance_id:
            raise CloudUnclear(instance_id, "it answers with another one")
        try:
            return instance(self._known(found.server), dhcp_domain=self._dhcp_domain)
        except InstanceInvalid as error:
            raise CloudUnclear(instance_id, str(error)) from error

    def has(self, instance_id: str) -> bool:
        """Return whether the cloud has an instance: one question.

        Raises:
            Unavailable: The cloud does not tell.
        """
        return self._ask("compute", f"/servers/{instance_id}", dict[str, Any]) is not None

    def id_at(self, address: str) -> str | None:
        """Return the id of the one instance that has an address; ``None``: none has it, or several have.

        Raises:
            Unavailable: The cloud does not tell.
        """
        query = urlencode({"fixed_ips": f"ip_address={address}"})
        answer = self._listed("/v2.0/ports", query, PortsAnswer)
        found = {port.device_id.lower() for port in answer.ports if port.device_owner.startswith("compute:")}
        if len(found) > 1:
            _LOG.warning("several instances of the cloud have one address; none is answered", address=address)
        return found.pop() if len(found) == 1 else None

    def _known(self, server: Server) -> Known:
        ports = in_order(self._listed("/v2.0/ports", urlencode({"device_id": server.id}), PortsAnswer).ports, server)
        subnet_ids = {fixed.subnet_id for port in ports for fixed in port.fixed_ips}
        subnets = [
            each
            for query in _queries(subnet_ids)
            for each in self._listed("/v2.0/subnets", query, SubnetsAnswer).subnets
        ]
        networks = [
            each
            for query in _queries({port.network_id for port in ports})
            for each in self._listed("/v2.0/networks", query, NetworksAnswer).networks
        ]
        described = _network_data(server, ports, subnets, networks)
        return Known(
            server=server,
            key_pair=self._key_pair(server),
            ports=ports,
            network_data=described,
            volumes=self._volumes(server),
        )

    def _key_pair(self, server: Server) -> KeyPair | None:
        if not server.key_name:
            return None
        path = f"/os-keypairs/{quote(server.key_name, safe='')}?{urlencode({'user_id': server.user_id})}"
        found = self._ask("compute", path, KeyPairAnswer)
        if found is None:
            _LOG.warning("the key pair of an instance is gone; its guest gets none", instance_id=server.id)
        return None if found is None else found.keypair

    def _volumes(self, server: Server) -> list[str]:
        """Return the names of the devices that are volumes, as far as Nova tells them."""
        if not server.volumes:
            return []
        try:
            found = self._ask("compute", f"/servers/{server.id}/os-volume_attachments", AttachmentsAnswer)
        except CloudRefuses:
            _LOG.warning("Nova does not let us see which volumes an instance has", instance_id=server.id)
            return []
        return [] if found is None else [each.device for each in found.attachments if each.device]

    def _listed(self, path: str, query: str, kind: type[T]) -> T:
        found = self._ask("network", f"{path}?{query}", kind)
        if found is None:
            raise PeerUnavailable(f"(network) has no {path}")
        return found

    def _ask(self, service: str, path: str, kind: type[T]) -> T | None:
        """Return an answer, ``None`` for 404."""
        headers: Mapping[str, str] = _COMPUTE if service == "compute" else {}
        url = f"{self._base(service)}{path}"
        reply = self._peer.get(url, token=None, accept="application/json", limit=_LIMIT, headers=headers)
        if reply.status == 404:
            return None
        if reply.status == 403:
            raise CloudRefuses(f"({service}) answers 403")
        if reply.status != 200 or reply.is_cut:
            raise PeerUnavailable(f"({service}) answers {reply.status}{' with too much' if reply.is_cut else ''}")
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise PeerUnavailable(f"({service}) answers what is not in its reference") from error

    def _base(self, service: str) -> str:
        """Return the URL below which a service is asked, however the catalogue writes it."""
        url = (self._endpoints[service] or self._catalogue.endpoint(service)).rstrip("/")
        if service == "network":
            return url.removesuffix("/v2.0")
        return url if _VERSIONED.search(url) else f"{url}/v2.1"


def _network_data(
    server: Server, ports: Sequence[Port], subnets: Iterable[Subnet], networks: Iterable[Network]
) -> dict[str, Any] | None:
    """Return the document; ``None``, with a word in the log, when guests would stumble over it: they use DHCP then."""
    try:
        return network_data(ports, {each.id: each for each in subnets}, {each.id: each for each in networks})
    except InstanceInvalid as error:
        _LOG.warning("no network can be described", instance_id=server.id, error=str(error))
        return None


def _queries(ids: Iterable[str]) -> list[str]:
    """Return the queries that ask for all of these, few enough in each for a URL."""
    every = sorted(ids)
    parts = [every[start : start + _IDS_AT_ONCE] for start in range(0, len(every), _IDS_AT_ONCE)]
    return [urlencode([("id", each) for each in part]) for part in parts]
