"""Section ``[user_data]``: how user data is checked before machines have it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from headwater.config import Section


class UserDataSettings(Section):
    """Section ``[user_data]``."""

    cloud_config_schema: Annotated[
        Path | None,
        Field(
            description="cloud-init's schema of cloud-configs (schema-cloud-config-v1.json), against which they are "
            "checked beside our own rules. Default: that of the cloud-init that is installed here, if one is."
        ),
    ] = None
