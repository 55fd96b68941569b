"""What becomes of the images of one family: decided from what is known of them, with nobody asked.

An image is superseded when a newer one of its family is there, active and shown, that everybody who sees the older one
sees as well: a private successor that is still being tried supersedes no public image. Then it goes down the ladder
that its rule has: another name, hidden, of the community, and in the end, when nobody has used it for long, deleted.
Each step but the last leaves its id and its data as they are. What keeps an image from being deleted is told with it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from fnmatch import translate
from functools import lru_cache

from headwater.images.model import Image, Status, Visibility
from headwater.images.retention.families import age_key, day_of
from headwater.images.retention.names import dated
from headwater.images.retention.settings import RetentionRule

DAY = 86_400_000_000  # microseconds
NAME_LIMIT = 255  # characters

# Who sees an image of the one visibility sees one of those after it as well.
_WIDTH = {Visibility.PRIVATE: 0, Visibility.SHARED: 1, Visibility.COMMUNITY: 2, Visibility.PUBLIC: 3}
_IMPORTING = "os_glance_importing_to_stores"
_VALIDITY = "uuid_validity"  # of SCS-0102: for how long an image can be had by its id


class Step(StrEnum):
    """What may become of an image."""

    RENAME = "rename"
    HIDE = "hide"
    COMMUNITY = "community"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an image besides itself."""

    last_used: int | None = None  # microseconds since 1970; None: not since uses are noted
    needed_by: str | None = None  # the id of an image that names this one as its kernel, RAM disk or base
    has_instances: bool = False  # instances that are registered here start from it
    has_members: bool = False  # projects have accepted it


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of one image, and why."""

    image: Image
    rule: str
    family: str
    last_used: int | None
    steps: tuple[Step, ...] = ()
    new_name: str | None = None
    why: tuple[str, ...] = ()  # of what becomes of it
    why_not: tuple[str, ...] = ()  # of what does not

    def kept(self, reason: str) -> Verdict:
        """Return the verdict that nothing becomes of the image after all."""
        return replace(self, steps=(), new_name=None, why=(), why_not=(*self.why_not, reason))


def is_under(image: Image, rule: RetentionRule) -> bool:
    """Return whether a rule is for an image."""
    if rule.projects and image.owner not in rule.projects:
        return False
    if rule.visibility and image.visibility.value not in rule.visibility:
        return False
    if rule.names and not any(_is_like(name, pattern) for pattern in rule.names for name in _names(image)):
        return False
    given = image.properties
    if not all(name in given and _is_like(given[name], pattern) for name, pattern in rule.properties.items()):
        return False
    return bool(rule.projects or rule.names or rule.properties)


def _names(image: Image) -> tuple[str, ...]:
    return () if image.name is None else (image.name, dated(image.name).name)


def _is_like(text: str, pattern: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1000)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """The active images that are newer than one, of those that everybody sees who sees it."""

    count: int = 0
    newest: str | None = None  # the id of the newest that is not hidden
    since: int | None = None  # since when one is there: it may be hidden by now, as it is superseded itself

    def and_before(self, image: Image) -> Newer:
        """Return these and the one before all of them."""
        return Newer(
            count=self.count + 1,
            newest=self.newest or (None if image.os_hidden else image.id),
            since=image.created_at if self.since is None else min(self.since, image.created_at),
        )

    def since_of(self, image: Image) -> int | None:
        """Return since when an image is superseded by one of these."""
        return None if self.newest is None or self.since is None else max(image.created_at, self.since)


@dataclass(frozen=True, slots=True)
class Times:
    """What time it is, and since when uses of images are noted."""

    now: int
    noted_since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Images that follow each other, and the rule that they are under."""

    name: str
    rule_name: str
    rule: RetentionRule
    images: Sequence[Image]

    def verdicts(self, facts: Mapping[str, Facts], *, noted_since: int | None, now: int) -> list[Verdict]:
        """Return what becomes of each image, oldest first.

        Args:
            facts: By the ids of the images.
            noted_since: Since when uses are noted; ``None``: they are not, so nobody knows that an image is unused.
        """
        times = Times(now, now if noted_since is None else noted_since)
        older_names = self._older_names()
        newer = {visibility: Newer() for visibility in Visibility}  # of an image, of those who see it at each
        verdicts = []
        for image in sorted(self.images, key=age_key, reverse=True):
            known, name = facts.get(image.id, Facts()), older_names.get(image.id)
            verdicts.append(self._verdict(image, newer[image.visibility], known, times, name))
            if image.status is Status.ACTIVE:
                for visibility in Visibility:
                    if _WIDTH[visibility] <= _WIDTH[image.visibility]:
                        newer[visibility] = newer[visibility].and_before(image)
        verdicts.reverse()
        return verdicts

    def _older_names(self) -> dict[str, str]:
        """Return what images would be called that are older ones, by their ids, where they are called otherwise.

        Those of one day are told apart by a number behind the date, the oldest having none; so a name that one of them
        was given by an earlier run stays its own.
        """
        names: dict[str, str] = {}
        taken = {image.name for image in self.images if image.name is not None}
        for image in sorted(self.images, key=age_key):
            if image.name is None or dated(image.name).day is not None:
                continue
            made = (self._named(self.rule.older_name, image, number) for number in itertools.count(1))
            name = next(each for each in made if each is None or each not in taken)
            if name is not None:
                names[image.id] = name
                taken.add(name)
        return names

    def _verdict(self, image: Image, newer: Newer, facts: Facts, times: Times, older_name: str | None) -> Verdict:
        verdict = Verdict(image=image, rule=self.rule_name, family=self.name, last_used=facts.last_used)
        if image.status is not Status.ACTIVE:
            return verdict.kept(f"it is {image.status.value}")
        if image.properties.get(_IMPORTING):
            return verdict.kept("it is being copied to further stores")
        days = self.rule.delete_unused_days
        if self.rule.rotate:
            against = self._against(image, newer, facts, times)
            if not against:
                return replace(verdict, steps=(Step.DELETE,), why=(f"{newer.count} newer ones are there",))
            verdict = replace(verdict, why_not=tuple(against))
        elif days is not None:
            against = [*self._against(image, newer, facts, times), *_not_idle(image, newer, facts, times, days)]
            if not against:
                return replace(verdict, steps=(Step.DELETE,), why=(f"nobody has used it for {days} days or more",))
            verdict = replace(verdict, why_not=tuple(against))
        if newer.newest is None:
            return self._newest(verdict)
        return self._older(verdict, newer, times, older_name)

    def _newest(self, verdict: Verdict) -> Verdict:
        wanted = self._named(self.rule.newest_name, verdict.image)
        if verdict.image.os_hidden or wanted in (None, verdict.image.name):
            return verdict
        why = "the newest of its family is called so"
        return replace(verdict, steps=(Step.RENAME,), new_name=wanted, why=(why,))

    def _older(self, verdict: Verdict, newer: Newer, times: Times, new_name: str | None) -> Verdict:
        image, rule = verdict.image, self.rule
        since = newer.since_of(image) or times.now
        steps: list[Step] = []
        if new_name is not None:
            steps.append(Step.RENAME)
        waits: list[str] = []
        for step, days, is_done in (
            (Step.HIDE, rule.hide_after_days, image.os_hidden),
            (Step.COMMUNITY, rule.community_after_days, image.visibility is not Visibility.PUBLIC),
        ):
            if days is None or is_done:
                continue
            left = since + days * DAY - times.now
            if left <= 0:
                steps.append(step)
            else:
                waits.append(f"{step.value}: in {-(-left // DAY)} days")
        why = (f"{newer.newest} is newer, and there since {_date(since)}",) if steps else ()
        return replace(verdict, steps=tuple(steps), new_name=new_name, why=why, why_not=(*waits, *verdict.why_not))

    def _named(self, template: str, image: Image, number: int = 1) -> str | None:
        """Return the name that a template makes; ``None``: there is no template, or nothing to make it of.

        Args:
            number: Which one of its day it is.
        """
        if not template or image.name is None:
            return None
        name, day = dated(image.name).name, day_of(image).strftime("%Y%m%d")
        if number > 1:
            day = f"{day}.{number}"
        made = template.format(name=name, date=day)
        too_long = len(made) - NAME_LIMIT
        if too_long > 0:
            made = template.format(name=name[: max(1, len(name) - too_long)], date=day)
        return made[:NAME_LIMIT]

    def _against(self, image: Image, newer: Newer, facts: Facts, times: Times) -> list[str]:
        """Return what keeps an image from being deleted, used or not."""
        keep = self.rule.keep
        promised = _promised(image.properties.get(_VALIDITY, ""), newer.count, times.now)
        reasons = {
            "no newer one of its family is shown": newer.newest is None and keep > 0,
            f"it is one of the newest {keep}": newer.newest is not None and newer.count < keep,
            "it is protected": image.protected,
            "instances that are registered here start from it": facts.has_instances,
            "projects that it is shared with have accepted it": facts.has_members,
            f"image {facts.needed_by} needs it": facts.needed_by is not None,
            promised or "": promised is not None,
        }
        return [reason for reason, holds in reasons.items() if holds]


def _not_idle(image: Image, newer: Newer, facts: Facts, times: Times, days: int) -> list[str]:
    """Return why an image does not count as unused for so many days; nothing: it does."""
    known = {
        "it is here since {}": image.created_at,
        "uses are noted since {} only": times.noted_since,
        "a newer one is there since {} only": newer.since_of(image) or 0,
        "it was used on {}": facts.last_used or 0,
    }
    reason, last = max(known.items(), key=lambda each: each[1])
    return [] if times.now - last >= days * DAY else [reason.format(_date(last))]


def _promised(validity: str, place: int, now: int) -> str | None:
    """Return what its owner has promised of an image, if that is to be kept still. Source: SCS-0102, uuid_validity."""
    told = f"its {_VALIDITY} is {validity}"
    if validity in ("notice", "forever"):
        return told
    if found := re.fullmatch(r"last-([0-9]{1,6})", validity):
        return told if place <= int(found[1]) else None
    try:
        until = date.fromisoformat(validity)
    except ValueError:
        return None
    return told if until >= datetime.fromtimestamp(now // 1_000_000, UTC).date() else None


def _date(at: int) -> str:
    return datetime.fromtimestamp(at // 1_000_000, UTC).date().isoformat()
