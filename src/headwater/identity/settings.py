"""What can be set of identity and policy: sections ``[auth]``, ``[auth.keystone]`` and ``[policy]``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from headwater.config import Section

_CREDENTIAL = ("application_credential_id", "application_credential_name", "application_credential_secret")


class KeystoneUser(Section):
    """The parent of sections that say as whom Headwater asks Keystone, and the services that its catalogue names."""

    auth_url: Annotated[
        str | None,
        Field(
            description="URL at which Headwater reaches Keystone, such as http://keystone:5000/v3.",
            pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        ),
    ] = None
    username: Annotated[str | None, Field(description="The user that Headwater is there.")] = None
    password: Annotated[SecretStr | None, Field(description="The user's password.")] = None
    application_credential_id: Annotated[
        str | None,
        Field(description="An application credential of the service user, in place of its name and password."),
    ] = None
    application_credential_name: Annotated[
        str | None, Field(description="The same by its name, with username and user_domain_name.")
    ] = None
    application_credential_secret: Annotated[
        SecretStr | None, Field(description="The secret of the application credential.")
    ] = None
    project_name: Annotated[str, Field(description="The project in which the service user has its role.")] = "service"
    user_domain_name: Annotated[str, Field(description="The domain of the service user.")] = "Default"
    project_domain_name: Annotated[str, Field(description="The domain of the service user's project.")] = "Default"
    region: Annotated[
        str | None,
        Field(
            description="Region in which other services are looked for in Keystone's catalogue. Default: any, where "
            "the catalogue has one."
        ),
    ] = None
    interface: Annotated[
        Literal["public", "internal", "admin"],
        Field(description="Which endpoints of other services are taken from the catalogue."),
    ] = "internal"
    timeout_s: Annotated[float, Field(description="How long an answer is waited for, in seconds.", gt=0, le=300)] = 10
    cafile: Annotated[
        Path | None, Field(description="Certificates (PEM) that prove Keystone's. Default: those of the system.")
    ] = None
    insecure: Annotated[bool, Field(description="Take any certificate of Keystone. Never in production.")] = False

    @model_validator(mode="after")
    def _one_proof(self) -> KeystoneUser:
        if not self.has_application_credential:
            return self
        by_id = self.application_credential_id is not None
        given = next(name for name in _CREDENTIAL if getattr(self, name) is not None)
        if self.password is not None:
            raise ValueError(f"'password' stands beside '{given}': keep the one that Headwater is to show Keystone")
        if by_id and self.application_credential_name is not None:
            raise ValueError("'application_credential_id' and 'application_credential_name' name two: keep one of them")
        if by_id and self.username is not None:
            raise ValueError("'username' stands beside 'application_credential_id', which says whose it is: remove it")
        if "project_name" in self.model_fields_set:
            raise ValueError(f"'project_name' stands beside '{given}', which is good for one project: remove it")
        return self

    @property
    def v3_url(self) -> str:
        """The URL of Keystone's v3."""
        url = (self.auth_url or "").rstrip("/")
        return url if url.endswith("/v3") else f"{url}/v3"

    @property
    def has_application_credential(self) -> bool:
        """Whether Headwater shows Keystone an application credential, and no password."""
        return any(getattr(self, name) is not None for name in _CREDENTIAL)

    @property
    def lacks(self) -> list[str]:
        """The keys that are missing for Headwater to show Keystone who it is."""
        wanted = ["auth_url", "username", "password"]
        if self.has_application_credential:
            named = ["application_credential_name", "username"]
            by_name = self.application_credential_name is not None
            wanted = ["auth_url", *(named if by_name else _CREDENTIAL[:1]), "application_credential_secret"]
        return [name for name in wanted if getattr(self, name) is None]


class KeystoneSettings(KeystoneUser):
    """Section ``[auth.keystone]``: how Headwater asks Keystone who calls."""

    www_authenticate_uri: Annotated[
        str | None,
        Field(
            description="URL of Keystone as clients see it, named in every 401. Default: auth_url.",
            pattern=r'^https?://[^\s/?#@"\\]+(/[^\s?#"\\]*)?$',
        ),
    ] = None
    username: Annotated[str | None, Field(description="The service user that may validate tokens.")] = None
    password: Annotated[SecretStr | None, Field(description="The service user's password.")] = None
    region: Annotated[
        str | None,
        Field(
            description="Region of this service: other services are looked for there in Keystone's catalogue, and the "
            "limits of projects are its own. Default: any, where the catalogue has one."
        ),
    ] = None
    cache_s: Annotated[
        int,
        Field(
            description="How long the answer for a token is kept, in seconds; a revoked token works for that long. "
            "0 asks Keystone at each request.",
            ge=0,
            le=86400,
        ),
    ] = 300
    service_token_roles: Annotated[
        tuple[str, ...],
        Field(
            description="Roles of which an X-Service-Token needs one, so that it lets an expired user token pass.",
            min_length=1,
        ),
    ] = ("service",)
    timeout_s: Annotated[
        float, Field(description="How long an answer of Keystone is waited for, in seconds.", gt=0, le=300)
    ] = 10

    @property
    def public_uri(self) -> str:
        """The URL of Keystone for clients."""
        return self.www_authenticate_uri or self.auth_url or ""


class UnifiedLimitsSettings(Section):
    """Section ``[quotas.keystone]``: which of Keystone's limits are those of the Image service."""

    endpoint_id: Annotated[
        str | None,
        Field(
            description="Id of the endpoint in Keystone's catalogue whose service and region the limits are of. "
            "Default: found by the three keys below."
        ),
    ] = None
    service_type: Annotated[str, Field(description="Type of the service that the limits are registered for.")] = "image"
    service_name: Annotated[
        str | None, Field(description="Name of that service, where the catalogue has several of the type.")
    ] = None
    region: Annotated[
        str | None,
        Field(
            description="Region whose limits count, beside those registered for no region. "
            "Default: that of [auth.keystone], or of the service's endpoints if it is one."
        ),
    ] = None
    cache_s: Annotated[
        int,
        Field(
            description="How long the limits of all projects are kept, in seconds; a change of them works after that. "
            "0 asks Keystone each time.",
            ge=0,
            le=86400,
        ),
    ] = 60


class AuthSettings(Section):
    """Section ``[auth]``: how a caller of the image listener proves who they are."""

    mode: Annotated[
        Literal["none", "basic", "keystone"],
        Field(
            description='"none": everybody is the administrator; "basic": user and password from a file; '
            '"keystone": tokens of OpenStack\'s Keystone.'
        ),
    ] = "none"
    allow_none_beyond_loopback: Annotated[
        bool,
        Field(
            description='Let mode "none" listen on other addresses than loopback: '
            "whoever reaches them may do everything."
        ),
    ] = False
    htpasswd_file: Annotated[
        Path | None,
        Field(description='For mode "basic": lines USER:BCRYPT-HASH[:PROJECT[:ROLE,ROLE]], as htpasswd -B makes them.'),
    ] = None
    keystone: KeystoneSettings = KeystoneSettings()

    @model_validator(mode="after")
    def _complete(self) -> AuthSettings:
        if self.mode == "basic" and self.htpasswd_file is None:
            raise ValueError("section [auth], key 'htpasswd_file' is missing: mode \"basic\" reads its users there")
        if self.mode == "keystone":
            if self.keystone.lacks:
                raise ValueError(
                    f"section [auth.keystone] lacks {', '.join(self.keystone.lacks)}: "
                    'mode "keystone" asks Keystone about tokens, as a user who may do that'
                )
            if self.keystone.insecure and self.keystone.cafile is not None:
                raise ValueError("section [auth.keystone] has both 'cafile' and 'insecure': keep one of them")
        return self


class PolicySettings(Section):
    """Section ``[policy]``: what callers may do."""

    file: Annotated[
        Path | None,
        Field(
            description="Rules in place of the built-in ones, as oslo.policy writes them (YAML or JSON); "
            "read again when it changes. `headwater policy sample` prints all rules."
        ),
    ] = None
    enforce_scope: Annotated[
        bool,
        Field(description="Refuse tokens that are scoped to the system or a domain, as Glance does."),
    ] = True
    remote_checks: Annotated[
        bool,
        Field(description="Allow rules that ask a server of the operator: http: and https: checks."),
    ] = False
    remote_timeout_s: Annotated[
        float, Field(description="How long such a server is waited for, in seconds.", gt=0, le=60)
    ] = 5
