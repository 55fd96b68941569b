"""A rule that is broken in user data, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headwater.findings import Level, Rule


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Its sentence names keys and lines, never values: user data holds secrets."""

    rule: Rule
    sentence: str
    fix: str
    part: str = ""  # number of the piece; empty: there is one only
    line: int | None = None  # of the piece, from 1
    path: str = ""  # in its YAML: users[0].name

    @property
    def level(self) -> Level:
        return self.rule.level

    @property
    def at(self) -> str:
        """The place as people read it."""
        places = [f"part {self.part}" if self.part else "", f"line {self.line}" if self.line else "", self.path]
        return ", ".join(place for place in places if place)


def broken(rule: Rule, *, line: int | None = None, path: str = "", **facts: Any) -> Fault:
    """Return the fault, its sentences filled with ``facts``."""
    return Fault(rule, rule.says.format(**facts), rule.fix.format(**facts), line=line, path=path)
