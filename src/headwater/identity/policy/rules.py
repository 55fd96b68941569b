"""A rule of the policy, as each capability hands its own in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its name, its default, and what it guards; ``scoped`` ones take tokens of projects only."""

    name: str
    check: str
    guards: str
    scoped: bool = True
