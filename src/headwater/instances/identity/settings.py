"""Settings of what a machine shows to others. Every command reads settings, so what signs is not imported here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from headwater.config import Section


class IdentitySettings(Section):
    """Section ``[metadata.identity]``."""

    issuer: Annotated[
        str | None,
        Field(
            description="URL of the image API as those see it who check tokens of instances; the keys are below it. "
            "Default: server.public_endpoint, or else the address that it listens on.",
            pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        ),
    ] = None
