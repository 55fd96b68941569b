"""Settings of vendor data. Every command reads settings, so what asks services is not imported here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from headwater.config import Section
from headwater.fetching.url_filter import UrlFilter, UrlFilterSettings, UrlRefused

_MOST_TARGETS = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class VendorDataSettings(Section):
    """Section ``[metadata.vendor_data]``."""

    file: Annotated[
        Path | None,
        Field(
            description="A file of JSON that every instance is told, unless its own record has vendor data. "
            "It is read again when it changes."
        ),
    ] = None
    targets: Annotated[
        dict[str, str],
        Field(
            description="Services that are asked about an instance when it reads vendor_data2.json: the name under "
            'which an answer stands there, and the URL, such as { join = "http://127.0.0.1:8090/" }. '
            "cloud-init reads the one that is named cloud-init."
        ),
    ] = {}  # noqa: RUF012 - pydantic copies it for each section
    timeout_s: Annotated[
        float,
        Field(description="How long one service may take in all, in seconds; guests wait.", gt=0, le=25),
    ] = 5
    retries: Annotated[
        int,
        Field(
            description="How often a service is asked again that cannot be reached or answers 5xx, within that time.",
            ge=0,
            le=5,
        ),
    ] = 1
    cache_s: Annotated[
        float,
        Field(
            description="How long an answer is kept, in seconds, while the instance's record is the same; no answer "
            "for 5 s at most. 0: each read asks.",
            ge=0,
            le=86400,
        ),
    ] = 60
    size_limit: Annotated[int, Field(description="Most bytes of one answer.", ge=1, le=1 << 20)] = 256 << 10
    send_token: Annotated[
        bool,
        Field(description="Show services a token of Keystone (X-Auth-Token): that of the user of [auth.keystone]."),
    ] = False
    cafile: Annotated[
        Path | None, Field(description="Certificates (PEM) that prove services. Default: those of the system.")
    ] = None

    @field_validator("targets")
    @classmethod
    def _askable(cls, value: dict[str, str]) -> dict[str, str]:
        if len(value) > _MOST_TARGETS:
            raise ValueError(f"{len(value)} services are more than the {_MOST_TARGETS} that a guest could wait for")
        readable = UrlFilter(UrlFilterSettings(allowed_ports=()))
        for name, url in value.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"a name is up to 64 letters, digits, '.', '-' and '_', not {name[:64]!r}")
            if name == "static":
                raise ValueError("the name 'static' is that of the file; take another")
            try:
                readable.target(url)
            except UrlRefused as error:
                raise ValueError(f"the URL of {name!r}: {error}") from None
        return value
