"""Settings of the cloud whose instances may ask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from headwater.identity.settings import KeystoneUser

_URL = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"


class OpenStackSettings(KeystoneUser):
    """Section ``[metadata.openstack]``: an OpenStack cloud whose instances need not be registered here.

    An instance that asks and is not registered is looked up in Nova and Neutron, once ``auth_url`` is set.
    """

    auth_url: Annotated[
        str | None,
        Field(
            description="URL of the cloud's Keystone. With it, an instance that asks and is not registered is looked "
            "up in Nova and Neutron. Default: none is.",
            pattern=_URL,
        ),
    ] = None
    username: Annotated[
        str | None, Field(description="A user whom Nova lets see all instances with their user data: an administrator.")
    ] = None
    password: Annotated[SecretStr | None, Field(description="That user's password.")] = None
    cafile: Annotated[
        Path | None,
        Field(description="Certificates (PEM) that prove those of Keystone, Nova and Neutron. Default: the system's."),
    ] = None
    insecure: Annotated[
        bool, Field(description="Take any certificate of Keystone, Nova and Neutron. Never in production.")
    ] = False
    compute_endpoint: Annotated[
        str | None, Field(description="URL of Nova, with /v2.1. Default: found in Keystone's catalogue.", pattern=_URL)
    ] = None
    network_endpoint: Annotated[
        str | None,
        Field(description="URL of Neutron, without /v2.0. Default: found in Keystone's catalogue.", pattern=_URL),
    ] = None
    dhcp_domain: Annotated[
        str,
        Field(
            description="What a host name ends with that has no domain, as Nova's dhcp_domain says; empty: nothing.",
            pattern=r"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*)?$",
            max_length=128,
        ),
    ] = "novalocal"
    refresh_s: Annotated[
        float,
        Field(
            description="For how long what the cloud said of an instance is given without asking again, in seconds. "
            "For three times more it is given while the cloud is asked anew.",
            gt=0,
            le=3600,
        ),
    ] = 15
    missing_s: Annotated[
        float,
        Field(
            description="For how long an instance that the cloud does not know is 404 without asking again.",
            gt=0,
            le=60,
        ),
    ] = 2
    stale_s: Annotated[
        float,
        Field(
            description="For how long what the cloud said of an instance is given while the cloud does not answer, in "
            "seconds.",
            ge=0,
            le=604800,
        ),
    ] = 3600
    address_stale_s: Annotated[
        float,
        Field(
            description="For how long the cloud's answer to which instance has an address is given while the cloud "
            "does not answer, in seconds; no less than refresh_s. Whoever gets the address of another instance "
            "meanwhile reads what was told to that one.",
            ge=0,
            le=86400,
        ),
    ] = 0
    most: Annotated[
        int, Field(description="Instances that one worker remembers; those asked for last stay.", ge=1, le=1_000_000)
    ] = 10_000
    threads: Annotated[
        int, Field(description="Threads of one worker that ask the cloud: so many questions at once.", ge=1, le=256)
    ] = 8

    @model_validator(mode="after")
    def _all_or_nothing(self) -> OpenStackSettings:
        fields = type(self).model_fields
        meant = sorted(name for name in self.model_fields_set if getattr(self, name) != fields[name].default)
        if self.auth_url is None and meant:
            raise ValueError(f"'{meant[0]}' is set and 'auth_url', which turns the lookup on, is not")
        if self.auth_url is not None and self.lacks:
            raise ValueError(f"{', '.join(self.lacks)} missing: Headwater has to show the cloud's Keystone who it is")
        return self
