"""What guests get, and how fast."""

from __future__ import annotations

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
    key_file: Annotated[
        Path | None,
        Field(
            description="File of the key that encrypts what signs identities and session tokens in the catalogue: "
            "32 bytes in base64, the same for all replicas. Several lines while it is changed: the first one encrypts, "
            "all open. Default: one is made beside a catalogue of SQLite (headwater.db-key); for other databases there "
            "is none, and nothing is encrypted."
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

    @field_validator("networks")
    @classmethod
    def _named(cls, value: dict[str, NetworkSettings]) -> dict[str, NetworkSettings]:
        for name in value:
            if not NETWORK_NAME.fullmatch(name):
                raise ValueError(f"a network's name is up to 64 letters, digits, '-' and '_', not {name!r}")
        return value
