"""What one consumer makes of a feed, gathered while it is read."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from headwater.findings import Level
from headwater.streams.lint.rules import Finding, Place, Reach, Rule, broken

SHOWN: Final = 1000  # findings of one rule in one file that are kept; the rest is counted

Build = tuple[str, str, str]  # file, product, version


class Verdict:
    """What a consumer sees, what it does not see, and why."""

    def __init__(self, consumer: str, program: str = "", *, asked_for: bool = False) -> None:
        self.consumer = consumer
        self.program = program or consumer  # as sentences name it, whatever its release
        self.asked_for = asked_for  # by name, so that a feed without anything for it is a fault
        self.sees: Counter[Build] = Counter()
        self.misses: dict[Build, tuple[int, str]] = {}  # how many images, and the rule that says why
        self.more: Counter[tuple[str, str]] = Counter()  # findings that are counted only, by rule and file
        self._findings: dict[tuple[str, str, Place, str], Finding] = {}
        self._kept: Counter[tuple[str, str]] = Counter()

    @property
    def findings(self) -> list[Finding]:
        """What was found, the worst first."""
        order = enumerate(self._findings.values())
        return [each for _, each in sorted(order, key=lambda pair: (-pair[1].level, -pair[1].reach, pair[0]))]

    def add(
        self,
        rule: Rule,
        file: str,
        place: Place = (),
        level: Level | None = None,
        reach: Reach | None = None,
        **facts: Any,
    ) -> None:
        """Note that ``rule`` is broken at a place."""
        group = (rule.id, file)
        if self._kept[group] >= SHOWN:
            self.more[group] += 1
            return
        found = broken(rule, file, place, level, reach, **facts)
        key = (rule.id, file, place, found.sentence)
        if key not in self._findings:
            self._kept[group] += 1
            self._findings[key] = found

    def seen(self, build: Build, images: int = 1) -> None:
        self.sees[build] += images

    def missed(self, build: Build, rule: Rule, images: int = 1) -> None:
        """Note images that are not seen. Of one build the first reason stands."""
        before, reason = self.misses.get(build, (0, rule.id))
        self.misses[build] = before + images, reason

    def take_back(self) -> None:
        """Miss all that is seen if something was found by which the consumer loses the whole feed."""
        killers = (each for each in self._findings.values() if (each.level, each.reach) == (Level.ERROR, Reach.FEED))
        killer = next(killers, None)
        if killer is not None:
            for build, images in self.sees.items():
                self.missed(build, killer.rule, images)
            self.sees.clear()

    @property
    def has_errors(self) -> bool:
        return any(each.level is Level.ERROR for each in self._findings.values())

    def to_dict(self) -> dict[str, Any]:
        return {
            "consumer": self.consumer,
            "images_seen": self.sees.total(),
            "images_missed": sum(images for images, _ in self.misses.values()),
            "sees": [_build(build) | {"images": images} for build, images in self.sees.items()],
            "does_not_see": [
                _build(build) | {"images": images, "rule": reason} for build, (images, reason) in self.misses.items()
            ],
        }


def _build(build: Build) -> dict[str, Any]:
    return dict(zip(("file", "product", "version"), build, strict=True))
