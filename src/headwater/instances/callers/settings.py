"""Settings of who may read instance metadata."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from headwater.config import Section
from headwater.instances.addresses import NETWORK_NAME


class NetworkSettings(Section):
    """Section ``[metadata.networks.NAME]``: a network whose machines are told from all others by where they ask."""

    bind: Annotated[
        str,
        Field(
            description="HOST:PORT of the instance metadata on this network. HOST is an address, of IPv6 in brackets "
            "and with its interface where it is link-local: [fe80::1%br0]:80."
        ),
    ]
    interface: Annotated[
        str | None,
        Field(
            description="The network interface by which its machines come: whoever comes by another one is not "
            "listened to, and two networks may have the same bind.",
            pattern=r"^[^\s/]{1,15}$",
        ),
    ] = None
    trusted: Annotated[
        bool,
        Field(
            description="Whether machines of this network may say who they are by SMBIOS UUID, serial number or MAC "
            "address (/seed/uuid/, /seed/serial/, /seed/mac/): whoever knows one of another machine reads what is "
            "that machine's."
        ),
    ] = False
    trusted_proxies: Annotated[
        tuple[str, ...],
        Field(
            description="Addresses and networks of proxies on this network, whose Forwarded and X-Forwarded headers "
            "say which machine asks: no guest may have one of these addresses."
        ),
    ] = ()


class NeutronSettings(Section):
    """Section ``[metadata.neutron]``."""

    shared_secrets: Annotated[
        tuple[SecretStr, ...],
        Field(
            description="What the metadata agents of Neutron or OVN have as metadata_proxy_shared_secret; several "
            "while it is changed. With one, who asks the metadata port is whom an agent signs for, and addresses tell "
            "nothing; without, addresses tell."
        ),
    ] = ()
    agents: Annotated[
        tuple[str, ...],
        Field(description="Addresses and networks of the hosts where agents run. Default: a signature is enough."),
    ] = ()

    providers: Annotated[
        dict[str, str],
        Field(
            description="Load balancers that pass guests' questions on, by what they say in X-Metadata-Provider: for "
            "each the network that its guests' addresses are of, as in NETWORK/ADDRESS. They sign with one of "
            "shared_secrets."
        ),
    ] = {}  # noqa: RUF012 - pydantic copies it for each section

    @field_validator("providers")
    @classmethod
    def _networks(cls, value: dict[str, str]) -> dict[str, str]:
        for network in value.values():
            if not NETWORK_NAME.fullmatch(network):
                raise ValueError(f"a network's name is up to 64 letters, digits, '-' and '_', not {network!r}")
        return value

    @field_validator("shared_secrets")
    @classmethod
    def _not_empty(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(not each.get_secret_value().strip() for each in value):
            raise ValueError("one of them is empty, as Neutron has it by default: with that anybody could sign")
        return value
