"""Settings of who may read instance metadata."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from headwater.config import Section


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

    @field_validator("shared_secrets")
    @classmethod
    def _not_empty(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(not each.get_secret_value().strip() for each in value):
            raise ValueError("one of them is empty, as Neutron has it by default: with that anybody could sign")
        return value
