"""What a consumer is to the linter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.lint.reading import Texts
from headwater.streams.lint.rules import Reach, Rule
from headwater.streams.lint.shapes import objects
from headwater.streams.lint.verdict import Verdict

NOTHING: Final = Rule(
    id="nothing-for-it",
    level=Level.NOTE,
    reach=Reach.FEED,
    says="the feed holds nothing for {consumer}: {wants}",
    fix="if {consumer} is to use this feed, add what it reads; else leave it out with --consumer",
    source="each consumer passes over what has another datatype or other names",
)


@dataclass(frozen=True, slots=True)
class Consumer:
    """One reader in one line of releases."""

    name: str
    program: str
    about: str
    read: Callable[[Texts, Verdict], None]
    rules: tuple[Rule, ...]


def nothing_for_it(verdict: Verdict, file: str, wants: str) -> None:
    """Note that nothing in the feed is for the consumer: a fault if somebody asked for it by name."""
    level = Level.ERROR if verdict.asked_for else Level.NOTE
    verdict.add(NOTHING, file, (), level=level, consumer=verdict.program, wants=wants)


def all_missed(verdict: Verdict, document: Any, file: str, rule: Rule) -> None:
    """Note that nothing in a products document is seen."""
    for name, product in objects(document, "products"):
        for version, each in objects(product, "versions"):
            verdict.missed((file, name, version), rule, max(1, len(list(objects(each, "items")))))
