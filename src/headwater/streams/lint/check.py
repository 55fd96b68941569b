"""One look at a feed with the eyes of many consumers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pysequoia import Cert

from headwater.findings import Level
from headwater.streams.lint import signatures
from headwater.streams.lint.consumers.consumer import Consumer
from headwater.streams.lint.consumers.registry import CONSUMERS
from headwater.streams.lint.general import RULES, General
from headwater.streams.lint.reading import Texts
from headwater.streams.lint.rules import Finding, Rule
from headwater.streams.lint.verdict import Verdict
from headwater.streams.signing.verifying import verified
from headwater.streams.trees.tree import Tree

EVERYONE: Final = "everyone"


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, and whom it concerns."""

    finding: Finding
    consumers: tuple[str, ...]  # or ``EVERYONE`` alone

    def to_dict(self) -> dict[str, Any]:
        return {**self.finding.to_dict(), "consumers": list(self.consumers)}


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be said of a feed: a verdict for each consumer, and findings, the worst first."""

    place: str
    verdicts: tuple[Verdict, ...]
    findings: tuple[Found, ...]
    more: int  # findings that were counted only

    def worst(self) -> Level | None:
        return max((each.finding.level for each in self.findings), default=None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "tree": self.place,
            "consumers": [each.to_dict() for each in self.verdicts],
            "findings": [each.to_dict() for each in self.findings],
            "findings_not_shown": self.more,
        }


def lint(
    tree: Tree,
    consumers: Sequence[Consumer] = (),
    *,
    files: bool = False,
    trusted: Sequence[Cert] | None = None,
    now: datetime | None = None,
    told: Callable[[int], None] = lambda done: None,
) -> Report:
    """Return what each consumer sees in the feed of ``tree``, what it does not see, and why.

    Args:
        consumers: Who was asked for; a feed that holds nothing for one of these is a fault. Default: all known.
        files: Look whether each file is there, and has the size that is told.
        trusted: Keys that readers hold: signatures are verified, and judged as each consumer would.
        now: At which time that is. Default: the present.
        told: Called with the number of consumers that are done.
    """
    at = now or datetime.now(UTC)
    texts = Texts(tree, None if trusted is None else lambda signed: verified(signed, trusted, at))
    everyone = Verdict(EVERYONE)
    General(texts, everyone, files=files).judge()
    if trusted is not None:
        signatures.judge_feed(texts, everyone, trusted, at)
    verdicts = []
    for number, consumer in enumerate(consumers or CONSUMERS, 1):
        verdict = Verdict(consumer.name, consumer.program, asked_for=bool(consumers))
        consumer.read(texts, verdict)
        verdicts.append(verdict)
        told(number)
    more = sum(each.more.total() for each in (everyone, *verdicts))
    return Report(tree.place, tuple(verdicts), _gathered([everyone, *verdicts]), more)


def _gathered(verdicts: Sequence[Verdict]) -> tuple[Found, ...]:
    """Return the findings with those whom they concern; what is the same for several is told once."""
    concerned: dict[Finding, list[str]] = {}
    for verdict in verdicts:
        for finding in verdict.findings:
            concerned.setdefault(finding, []).append(verdict.consumer)
    found = [Found(finding, tuple(names)) for finding, names in concerned.items()]
    return tuple(sorted(found, key=lambda each: (-each.finding.level, -each.finding.reach)))


def all_rules() -> list[tuple[Rule, tuple[str, ...]]]:
    """Return every rule with the consumers that it is of, by its id."""
    of: dict[str, tuple[Rule, list[str]]] = {rule.id: (rule, [EVERYONE]) for rule in (*RULES, *signatures.OF_FEEDS)}
    for consumer in CONSUMERS:
        for rule in consumer.rules:
            of.setdefault(rule.id, (rule, []))[1].append(consumer.name)
    return [(rule, tuple(names)) for _, (rule, names) in sorted(of.items())]
