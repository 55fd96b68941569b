"""What linters find: how bad it is, rules as data, and the log in which code hosts show findings.

Each linter has more to say of its own: where in a feed it was, or which release of which consumer is concerned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from headwater import __version__

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"


class Level(IntEnum):
    """How bad it is; a higher one is worse."""

    NOTE = 1  # nothing is lost by it now
    WARNING = 2  # something is lost under some conditions, or soon
    ERROR = 3  # a consumer does not see, or cannot use, what is there

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that a consumer requires. ``says`` and ``fix`` are filled with the facts of a finding."""

    id: str
    level: Level
    says: str
    fix: str
    source: str  # how we know


def sarif_log(
    tool: str,
    rules: Iterable[tuple[Rule, Sequence[str]]],
    results: Iterable[Mapping[str, Any]],
    bases: Mapping[str, str],
) -> dict[str, Any]:
    """Return a log of SARIF 2.1.0; its levels are our own.

    Args:
        tool: The command that found it.
        rules: All that it looks for, with the consumers that each is of.
        results: From ``sarif_result``.
        bases: What the places of results are relative to, by id.
    """
    described = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.says},
            "help": {"text": f"{rule.fix} (source: {rule.source})"},
            "defaultConfiguration": {"level": str(rule.level)},
            "properties": {"consumers": list(consumers)},
        }
        for rule, consumers in rules
    ]
    numbers = {rule["id"]: number for number, rule in enumerate(described)}
    run = {
        "tool": {"driver": {"name": tool, "version": __version__, "rules": described}},
        "originalUriBaseIds": {name: {"description": {"text": text}} for name, text in bases.items()},
        "results": [{**result, "ruleIndex": numbers[result["ruleId"]]} for result in results],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def sarif_result(
    rule_id: str, level: Level, text: str, location: Mapping[str, Any], logical: str, **properties: Any
) -> dict[str, Any]:
    """Return one result.

    Args:
        location: The physical one.
        logical: The place in the document; empty: all of it.
    """
    place: dict[str, Any] = {"physicalLocation": dict(location)}
    if logical:
        place["logicalLocations"] = [{"fullyQualifiedName": logical}]
    return {
        "ruleId": rule_id,
        "level": str(level),
        "message": {"text": text},
        "locations": [place],
        "properties": properties,
    }
