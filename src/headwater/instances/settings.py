"""What guests get, and how fast."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from headwater.config import Section
from headwater.instances.addresses import NETWORK_NAME
from headwater.instances.callers.settings import NetworkSettings, NeutronSettings
from headwater.instances.identity.settings import IdentitySettings
from headwater.instances.serving.faults import FaultSettings
from headwater.instances.sources.openstack.settings import OpenStackSettings
from headwater.instances.vendor_data.settings import VendorDataSettings

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252})", re.ASCII)


class MetadataSettings(Section):
    """Section ``[metadata]``: the metadata that instances read of themselves."""

    neutron: NeutronSettings = NeutronSettings()
    openstack: OpenStackSettings = OpenStackSettings()
    networks: Annotated[
        dict[str, NetworkSettings],
        Field(
            description="Networks with a listener of their own beside metadata_bind: a table for each. An address of a "
            "machine names its network as NAME/ADDRESS, and answers there alone."
        ),
    ] = {}  # noqa: RUF012 - pydantic copies it for each section
    identity: IdentitySettings = IdentitySettings()
    vendor_data: VendorDataSettings = VendorDataSettings()
    rate: Annotated[
        float,
        Field(
            description="Requests a second that one instance gets from one worker for long; a boot is about 30 in all. "
            "0: as many as it asks for.",
            ge=0,
            le=100_000,
        ),
    ] = 20.0
    burst: Annotated[
        int,
        Field(
            description="Requests that one instance gets at once before the rate counts: several boots with all that "
            "cloud-init reports.",
            ge=60,
            le=1_000_000,
        ),
    ] = 300
    hosts: Annotated[
        tuple[str, ...],
        Field(
            description="Names under which guests may ask, beside addresses: one that asks for another name gets 400, "
            "as would a page in a guest's browser whose own name was made to lead here (DNS rebinding). Of secret "
            "paths (/seed/) and of Neutron's agents no name is asked. Default: any name."
        ),
    ] = ()
    key_file: Annotated[
        Path | None,
        Field(
            description="File of the key that encrypts what signs identities and session tokens in the catalogue, "
            "and what a cloud says of its machines: 32 bytes in base64, the same for all replicas. Several lines while "
            "it is changed: the first one encrypts, all open. Default: one is made beside a catalogue of SQLite "
            "(headwater.db-key); for other databases there is none, and nothing is encrypted."
        ),
    ] = None
    region: Annotated[
        str | None,
        Field(
            description="What instances are told as placement/region. Default: there is none.",
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        ),
    ] = None
    faults: Annotated[
        dict[str, FaultSettings],
        Field(
            description="Faults that guests get on purpose, so that an image can be tested: a table for each, of any "
            "name; the first that fits is taken. Never for machines that matter."
        ),
    ] = {}  # noqa: RUF012 - pydantic copies it for each section

    @field_validator("hosts")
    @classmethod
    def _names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(name.lower().rstrip(".") for name in value)
        for name in found:
            if not _HOST.fullmatch(name):
                raise ValueError(f"a name is as in http://NAME/, without a port, not {name[:64]!r}")
        return found

    @field_validator("networks")
    @classmethod
    def _named(cls, value: dict[str, NetworkSettings]) -> dict[str, NetworkSettings]:
        for name in value:
            if not NETWORK_NAME.fullmatch(name):
                raise ValueError(f"a network's name is up to 64 letters, digits, '-' and '_', not {name!r}")
        return value
