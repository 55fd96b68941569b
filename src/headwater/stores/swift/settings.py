"""What may be set for a store of type ``swift``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from headwater.stores.store import Abilities
from headwater.stores.store_type import StoreSettings


class SwiftStoreSettings(StoreSettings):
    """Section ``[stores.NAME]`` with ``type = "swift"``."""

    # One without ``temp_url_key`` gives no addresses, which the opened store says.
    abilities: ClassVar[Abilities] = Abilities(
        shared_by_processes=True, gives_paths=False, commits_again=True, gives_urls=True
    )

    type: Literal["swift"]
    auth: Annotated[
        Literal["keystone", "v1"],
        Field(description="Who gives tokens: Keystone, by its API v3, or Swift itself (v1, such as tempauth)."),
    ] = "keystone"
    auth_url: Annotated[
        str,
        Field(
            description="Where tokens are given, such as https://keystone.example.org:5000/v3, or "
            "https://swift.example.org/auth/v1.0 with v1."
        ),
    ]
    username: Annotated[
        str | None, Field(description="Headwater's own user there; with v1 ACCOUNT:USER.", min_length=1)
    ] = None
    password: Annotated[
        SecretStr | None, Field(description="The user's password; with v1 the user's key.", min_length=1)
    ] = None
    user_domain_name: Annotated[str, Field(description="The domain of the user, in Keystone.")] = "Default"
    project_name: Annotated[str | None, Field(description="The project whose account has the container.")] = None
    project_domain_name: Annotated[str, Field(description="The domain of the project.")] = "Default"
    application_credential_id: Annotated[
        str | None,
        Field(description="An application credential of Keystone, in place of a user with password and project."),
    ] = None
    application_credential_secret: Annotated[
        SecretStr | None, Field(description="The secret of the application credential.", min_length=1)
    ] = None
    region: Annotated[
        str | None, Field(description="The region of Swift in Keystone's catalogue. Default: the first that is there.")
    ] = None
    interface: Annotated[
        Literal["public", "internal", "admin"],
        Field(description="Which of Swift's addresses in Keystone's catalogue Headwater uses."),
    ] = "public"
    storage_url: Annotated[
        str | None,
        Field(
            description="Address of the account, such as https://swift.example.org/v1/AUTH_ID. Default: what "
            "Keystone's catalogue or v1 says."
        ),
    ] = None
    public_endpoint: Annotated[
        str | None,
        Field(
            description="Address under which clients reach Swift, such as https://swift.example.org, for URLs given to "
            "them. Default: that of storage_url."
        ),
    ] = None
    container: Annotated[
        str, Field(description="Container that holds the objects.", pattern=r"^[A-Za-z0-9._-]{1,255}$")
    ]
    create_container: Annotated[bool, Field(description="Make the container when the store is first used.")] = False
    prefix: Annotated[
        str | None,
        Field(
            description="What the names of all objects begin with, such as images/, so that a container can hold more. "
            "Default: nothing.",
            pattern=r"^[A-Za-z0-9._/-]{1,200}$",
        ),
    ] = None
    reference: Annotated[
        str | None,
        Field(
            description="What stands for the account in the URLs of objects, swift+config://REFERENCE/CONTAINER/"
            "OBJECT, as in Glance's file of references. Default: the store's name.",
            pattern=r"^[A-Za-z0-9._-]{1,100}$",
        ),
    ] = None
    temp_url_key: Annotated[
        SecretStr | None,
        Field(
            description="The key of the container or the account (Temp-URL-Key) that signs addresses given to clients. "
            "Default: no addresses are given.",
            min_length=1,
        ),
    ] = None
    cafile: Annotated[
        Path | None,
        Field(description="Certificates (PEM) that prove Swift's and Keystone's. Default: those that requests brings."),
    ] = None
    timeout_s: Annotated[
        float, Field(description="How long an answer of Swift or Keystone is waited for, in seconds.", gt=0, le=3600)
    ] = 60
    segment_mib: Annotated[
        int,
        Field(
            description="Size of the first segments of an object, in MiB; each is one request that is sent while its "
            "bytes come, and later ones grow so that there are few enough. What is smaller than 4 MiB is put at once.",
            ge=4,
            le=5120,
        ),
    ] = 200
    most_segments: Annotated[
        int,
        Field(
            description="In how many segments Swift takes an object: its max_manifest_segments.",
            ge=100,
            le=100_000,
        ),
    ] = 1000
    chunk_size: Annotated[int, Field(description="Largest piece read at once, in bytes.", ge=4096, le=64 << 20)] = (
        256 << 10
    )

    @property
    def who(self) -> str:
        """Whom the settings name, in words and without the secret."""
        if self.application_credential_id is not None:
            return f"the application credential {self.application_credential_id}"
        return f"the user {self.username}"

    @field_validator("auth_url", "storage_url", "public_endpoint")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc or url.query or url.fragment:
            raise ValueError("give http:// or https://, a host and perhaps a port and a path, and nothing more")
        return value.rstrip("/")

    @field_validator("public_endpoint")
    @classmethod
    def _has_no_path(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).path:
            raise ValueError("give http:// or https://, a host and perhaps a port; the path is that of storage_url")
        return value

    def told(self, own: Path) -> Mapping[str, Any]:
        return {
            "container": self.container,
            "large_object_chunk_size": self.segment_mib,
        }

    @model_validator(mode="after")
    def _can_prove_itself(self) -> Self:
        by_credential = (self.application_credential_id, self.application_credential_secret)
        by_password = (self.username, self.password)
        if any(by_credential):
            if self.auth == "v1" or any(by_password) or not all(by_credential):
                raise ValueError(
                    "an application credential is an id and a secret, for auth = \"keystone\", without 'username' and "
                    "'password'"
                )
        elif not all(by_password):
            raise ValueError("give 'username' and 'password', or an application credential")
        elif self.auth == "keystone" and self.project_name is None:
            raise ValueError("give 'project_name': the project whose account has the container")
        return self
