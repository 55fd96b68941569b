"""A machine with its whole record, and who says what it is: somebody who registered it, or a cloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from headwater.instances.model import Instance

Source = Literal["registry", "openstack"]

REGISTRY: Final[Source] = "registry"
OPENSTACK: Final[Source] = "openstack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A machine."""

    instance: Instance
    source: Source = REGISTRY
    told_at: int | None = None  # when its source said so, in microseconds since 1970, UTC; None: it is so now
    silence: str | None = None  # why its source did not answer; None: it did, or nobody had to ask it
