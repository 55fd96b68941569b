"""Rules for records of instances, and findings, which are a rule broken by a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from headwater import findings
from headwater.findings import Level
from headwater.instances.lint.subject import Subject

Place = tuple[str, dict[str, Any]]  # a field of the record, and the facts of the finding


@dataclass(frozen=True, slots=True)
class Versions:
    """The releases of a consumer for which a rule holds."""

    since: str | None = None
    before: str | None = None

    def have(self, version: str | None) -> bool:
        """Whether it holds for a release; ``None`` is any of them."""
        if version is None:
            return True
        number = _number(version)
        if self.before is not None and number >= _number(self.before):
            return False
        return self.since is None or number >= _number(self.since)

    def __str__(self) -> str:
        parts = [f"since {self.since}" if self.since else "", f"before {self.before}" if self.before else ""]
        return " and ".join(part for part in parts if part) or "all"


ALL: Final = Versions()


def _number(version: str) -> tuple[int, ...]:
    """Return a release as it compares: 2.10 is 2.10.0."""
    parts = [int(part) for part in version.split(".")]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(findings.Rule):
    """One thing that a consumer of instance metadata requires."""

    why: str  # what the consumer does with it
    judge: Callable[[Subject], Iterator[Place]]
    versions: Versions = ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that a record breaks."""

    rule: str
    level: Level
    consumer: str
    versions: str
    instance: str  # its name, or the file that holds the user data
    field: str
    sentence: str
    why: str
    fix: str
    source: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "level": str(self.level),
            "consumer": self.consumer,
            "versions": self.versions,
            "instance": self.instance,
            "field": self.field,
            "message": self.sentence,
            "why": self.why,
            "fix": self.fix,
            "source": self.source,
        }


def broken(rule: Rule, consumer: str, instance: str, field: str, facts: dict[str, Any]) -> Finding:
    """Return the finding, its sentences filled with ``facts``."""
    return Finding(
        rule=rule.id,
        level=rule.level,
        consumer=consumer,
        versions=str(rule.versions),
        instance=instance,
        field=field,
        sentence=rule.says.format(**facts),
        why=rule.why,
        fix=rule.fix.format(**facts),
        source=rule.source,
    )
