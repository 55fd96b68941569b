"""A rule of the policy, as each capability hands its own in, and what decides by rules, as each capability asks it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from headwater.identity.caller import Caller


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, its default, and what it guards; ``scoped`` ones take tokens of projects only."""

    name: str
    check: str
    guards: str
    scoped: bool = True


class Rules(Protocol):
    """What decides on actions: see ``engine.Policy``."""

    def allows(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> bool:
        """Return whether ``caller`` may do what ``rule`` guards to ``target``."""

    def require(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> None:
        """Raise ``Forbidden`` when it may not."""


class NamedRules(Rules, Protocol):
    """Rules whose names can be told."""

    def names(self) -> Collection[str]:
        """Return the names of all rules that there are now."""
        ...
