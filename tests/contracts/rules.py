"""Rules of policy for tests that are about something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwater.identity.caller import Caller


class EveryoneMay:
    """Rules that allow everything to everybody."""

    def allows(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        """Allow it."""
        return True

    def require(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> None:
        """Let it pass."""
