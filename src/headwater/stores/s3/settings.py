"""What may be set for a store of type ``s3``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from headwater.stores.store import Abilities
from headwater.stores.store_type import StoreSettings


class S3StoreSettings(StoreSettings):
    """Section ``[stores.NAME]`` with ``type = "s3"``."""

    abilities: ClassVar[Abilities] = Abilities(
        shared_by_processes=True, gives_paths=False, commits_again=True, gives_urls=True
    )

    type: Literal["s3"]
    endpoint: Annotated[
        str, Field(description="Address of the service, such as https://s3.eu-central-1.amazonaws.com.")
    ]
    public_endpoint: Annotated[
        str | None,
        Field(description="Address under which clients reach the service, for URLs given to them. Default: endpoint."),
    ] = None
    bucket: Annotated[str, Field(description="Bucket that holds the objects.", min_length=3, max_length=255)]
    create_bucket: Annotated[bool, Field(description="Make the bucket when the store is first used.")] = False
    prefix: Annotated[
        str | None,
        Field(
            description="What the names of all objects begin with, such as images/, so that a bucket can hold more. "
            "Default: nothing.",
            pattern=r"^[A-Za-z0-9._/-]{1,200}$",
        ),
    ] = None
    access_key: Annotated[str, Field(description="Name that the service knows Headwater by.", min_length=1)]
    secret_key: Annotated[SecretStr, Field(description="Secret that belongs to access_key.", min_length=1)]
    region: Annotated[str, Field(description="Region that requests are signed for.", min_length=1)] = "us-east-1"
    addressing: Annotated[
        Literal["path", "virtual"],
        Field(description="Where the bucket's name stands: in the path of a request, or in front of the host's name."),
    ] = "path"
    cafile: Annotated[
        Path | None,
        Field(description="Certificates (PEM) that prove the service's. Default: those that botocore brings."),
    ] = None
    timeout_s: Annotated[
        float, Field(description="How long an answer of the service is waited for, in seconds.", gt=0, le=3600)
    ] = 60
    part_mib: Annotated[
        int,
        Field(
            description="Size of the first parts of an object, in MiB; what is smaller is put at once. The parts of "
            "one upload take 64 MiB of memory at most.",
            ge=5,
            le=32,
        ),
    ] = 8
    most_parts: Annotated[
        int,
        Field(
            description="In how many parts the service takes an object. Swift's default is 1000 "
            "(max_upload_part_num), which is enough for 600 GiB.",
            ge=100,
            le=10_000,
        ),
    ] = 10_000
    upload_threads: Annotated[int, Field(description="How many parts of one object are sent at once.", ge=1, le=16)] = 4
    content_md5: Annotated[
        bool, Field(description="Send Content-MD5 with the bytes, for services or buckets that ask for it.")
    ] = False
    conditional_put: Annotated[
        bool,
        Field(
            description="The service knows If-None-Match, so processes that use a new store at the same moment mark "
            "it once. Where it does not, start one of them first."
        ),
    ] = True
    chunk_size: Annotated[int, Field(description="Largest piece read at once, in bytes.", ge=4096, le=64 << 20)] = (
        256 << 10
    )

    def told(self, own: Path) -> Mapping[str, Any]:
        return {
            "s3_store_large_object_size": self.part_mib,
            "s3_store_large_object_chunk_size": self.part_mib,
            "s3_store_thread_pools": self.upload_threads,
        }

    @field_validator("endpoint", "public_endpoint")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc or url.path.strip("/"):
            raise ValueError("give http:// or https://, a host and perhaps a port, and nothing more")
        if url.query or url.fragment:
            raise ValueError("give an address without a query or fragment")
        return value.rstrip("/")
