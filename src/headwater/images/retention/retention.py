"""The use case: plan what becomes of the images that grow old, and do it, image by image.

A plan is made of what the catalogue says now, and nothing of it is kept: what a run did not come to, because it was
killed or an image was changed in the middle, the next run finds again. Each image goes through the use cases of the
API, in one change: it is as it was or as it should be, and the change is told as any other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from headwater.clock import Clock, now, timestamp
from headwater.errors import HeadwaterError, SettingsError
from headwater.identity.caller import OPERATOR, Caller
from headwater.images.attributes import Operation
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.lists.query import Query
from headwater.images.catalogue.members import MemberRows
from headwater.images.catalogue.retention.uses import ImageUseRows, batches
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.locations.service import ImageInUse, Locations
from headwater.images.model import Image, Visibility
from headwater.images.retention.families import family
from headwater.images.retention.rules import DAY, Facts, Family, Step, Verdict, is_under
from headwater.images.retention.settings import RetentionRule, RetentionSettings
from headwater.images.service import Images
from headwater.jobs.runner import Handler
from headwater.jobs.standing import standing
from headwater.stores.store import StoreUnavailable

CALLER = Caller(user_id="headwater-retention", roles=OPERATOR.roles)
PAGE = 1000  # images that are read at once
NEEDS = ("kernel_id", "ramdisk_id", "base_image_ref")  # properties that name another image

_log = logging.getLogger(__name__)


class NoSuchRule(SettingsError):
    """A rule of this name is not in the settings."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        there = ", ".join(known) or "none"
        super().__init__(f"there is no rule {name!r}: section [retention.rules] has {there}; nothing was changed")
        self.name = name


class ImageMovedOn(HeadwaterError):
    """An image was changed or used after it was decided what becomes of it."""

    def __init__(self, image_id: str) -> None:
        super().__init__(f"image {image_id} was changed or used in the meantime; the next run looks at it again")
        self.image_id = image_id


class UsesUnknown(HeadwaterError):
    """It is not known for long enough which images are used."""

    def __init__(self, since: int | None) -> None:
        told = "not noted" if since is None else f"noted since {timestamp(since)[:10]} only"
        super().__init__(f"uses of images are {told}")
        self.since = since


class InstanceImages(Protocol):
    """Who knows which images instances need."""

    def image_ids(self) -> Collection[str]:
        """Return the ids of all of them."""


class NoInstances:
    """Knows of none."""

    def image_ids(self) -> Collection[str]:
        return ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of an image."""

    verdict: Verdict
    error: HeadwaterError | None = None  # None: what the verdict says


class Retention:
    """All rules of one catalogue; safe to use from several threads."""

    def __init__(
        self,
        settings: RetentionSettings,
        catalogue: ImageRows,
        uses: ImageUseRows,
        members: MemberRows,
        images: Images,
        *,
        locations: Locations,
        instances: InstanceImages,
        stopping: Callable[[], bool] = lambda: False,
        clock: Clock = now,
    ) -> None:
        """Take what decides and what changes.

        Args:
            images: The use cases through which images are changed.
            locations: Knows whether anything was cloned from an image's data.
            stopping: Whether a run should end where it is.
        """
        self._settings = settings
        self._catalogue = catalogue
        self._uses = uses
        self._members = members
        self._images = images
        self._locations = locations
        self._instances = instances
        self._stopping = stopping
        self._clock = clock

    # --- Planning --------------------------------------------------------------------------------

    def plan(self, rules: Collection[str] = ()) -> list[Verdict]:
        """Return what becomes of each image that is under a rule and in a family, family by family, oldest first.

        Args:
            rules: Tell only of images under these; none: under any.

        Raises:
            NoSuchRule: There is none of this name.
        """
        for name in rules:
            if name not in self._settings.rules:
                raise NoSuchRule(name, self._settings.rules)
        families, needed = self._families(rules)
        at = self._clock()
        noted_since = self._uses.since(at)
        has_instances = frozenset(self._instances.image_ids())
        verdicts: list[Verdict] = []
        facts = self._facts([image.id for each in families for image in each.images], needed, has_instances)
        for each in families:
            verdicts += map(self._unless_cloned, each.verdicts(facts, noted_since=noted_since, now=at))
        return verdicts

    def _families(self, rules: Collection[str]) -> tuple[list[Family], dict[str, str]]:
        """Return the families of images under these rules, and of each image that another needs, by which."""
        found: dict[_Key, dict[str, Image]] = {}
        needed: dict[str, str] = {}
        for image in every(self._catalogue):
            for name in NEEDS:
                if (other := image.properties.get(name)) is not None and other.lower() != image.id:
                    needed.setdefault(other.lower(), image.id)
            under = self._rule_of(image)
            if under is None or (rules and under[0] not in rules):
                continue
            name, rule = under
            key = family(image, rule.family)
            if key is not None:
                found.setdefault((name, image.owner, key), {})[image.id] = image
        families = [
            Family(
                name=" ".join(filter(None, key)),
                rule_name=name,
                rule=self._settings.rules[name],
                images=list(images.values()),
            )
            for (name, _, key), images in sorted(found.items(), key=_place)
        ]
        return families, needed

    def _rule_of(self, image: Image) -> tuple[str, RetentionRule] | None:
        return next((each for each in self._settings.rules.items() if is_under(image, each[1])), None)

    def _facts(
        self, ids: Collection[str], needed: Mapping[str, str], has_instances: Collection[str]
    ) -> dict[str, Facts]:
        """Return what is known of images, by id; nothing of those of which nothing is."""
        used = self._uses.of(ids)
        accepted = {image_id for some in batches(ids) for image_id in self._members.accepted(some)}
        return {
            image_id: Facts(
                last_used=used.get(image_id),
                needed_by=needed.get(image_id),
                has_instances=image_id in has_instances,
                has_members=image_id in accepted,
            )
            for image_id in ids
            if image_id in used or image_id in needed or image_id in has_instances or image_id in accepted
        }

    def user_of(self, image_id: str, used_days: int) -> str | None:
        """Return who or what needs an image, or has used it in the last days; ``None``: nobody.

        Raises:
            UsesUnknown, StoreUnavailable: Nobody can say.
        """
        known = self._facts([image_id], {}, frozenset(self._instances.image_ids())).get(image_id, Facts())
        if known.has_instances:
            return "instances that are registered here"
        if known.has_members:
            return "projects that accepted it"
        at, since = self._clock(), self._uses.since(self._clock())
        if known.last_used is not None and at - known.last_used < used_days * DAY:
            return f"it was used on {timestamp(known.last_used)[:10]}"
        for image in every(self._catalogue):
            if image.id != image_id and image_id in (image.properties.get(name, "").lower() for name in NEEDS):
                return f"image {image.id}"
        if used_days and (since is None or at - since < used_days * DAY):
            raise UsesUnknown(since)
        try:
            self._locations.require_unused(image_id, certainly=True)
        except ImageInUse:
            return "volumes that were cloned from it"
        return None

    def _unless_cloned(self, verdict: Verdict) -> Verdict:
        if Step.DELETE not in verdict.steps:
            return verdict
        try:
            self._locations.require_unused(verdict.image.id, certainly=True)
        except ImageInUse:
            return verdict.kept("volumes were cloned from it")
        except StoreUnavailable as error:
            return verdict.kept(f"nobody can say whether anything was cloned from it: {error}")
        return verdict

    # --- Doing -----------------------------------------------------------------------------------

    def apply(self, rules: Collection[str] = ()) -> Iterator[Outcome]:
        """Do what ``plan`` says, and yield of each image what has become of it; one that fails keeps no other back.

        Raises:
            NoSuchRule: There is none of this name.
        """
        for verdict in self.plan(rules):
            if self._stopping():
                return
            if not verdict.steps:
                yield Outcome(verdict)
                continue
            told = {
                "image": verdict.image.id,
                "rule": verdict.rule,
                "steps": ", ".join(verdict.steps),
                "reason": "; ".join(verdict.why),
            }
            try:
                self._do(verdict)
            except HeadwaterError as error:
                _log.warning("an image was not retired", extra={**told, "error": str(error)})
                yield Outcome(verdict, error)
            else:
                _log.info("an image was retired", extra=told)
                yield Outcome(verdict)

    @property
    def handlers(self) -> dict[str, Handler]:
        """The standing jobs: one that does what all rules say, where the settings want that."""
        return {"retention": standing(self._run, self._settings.every_h * 3600)} if self._settings.every_h else {}

    def _run(self) -> None:
        outcomes = [outcome for outcome in self.apply() if outcome.verdict.steps]
        failed = sum(outcome.error is not None for outcome in outcomes)
        _log.info("retention has run", extra={"images": len(outcomes), "failed": failed})

    def _do(self, verdict: Verdict) -> None:
        image = verdict.image
        self._require_unmoved(verdict)
        if Step.DELETE in verdict.steps:
            self._locations.require_unused(image.id, certainly=True)
            self._images.delete(CALLER, image.id)
            return
        operations = []
        if verdict.new_name is not None:
            operations.append(Operation("replace", "name", verdict.new_name))
        if Step.HIDE in verdict.steps:
            operations.append(Operation("replace", "os_hidden", True))
        if Step.COMMUNITY in verdict.steps:
            operations.append(Operation("replace", "visibility", Visibility.COMMUNITY.value))
        self._images.patch(CALLER, image.id, operations)

    def _require_unmoved(self, verdict: Verdict) -> None:
        """Raise ``ImageMovedOn`` when the image is not any more what it was when the plan was made."""
        image_id = verdict.image.id
        try:
            is_same = self._catalogue.get(image_id) == verdict.image
        except ImageNotFound:
            is_same = False
        if is_same and Step.DELETE in verdict.steps:
            is_same = self._uses.of([image_id]).get(image_id) == verdict.last_used
            is_same = is_same and not self._members.accepted([image_id])
        if not is_same:
            raise ImageMovedOn(image_id)


_Key = tuple[str, str | None, tuple[str, ...]]  # of a family: its rule, the owner, what its images have in common


def _place(entry: tuple[_Key, object]) -> tuple[str, str, tuple[str, ...]]:
    (rule, owner, common), _ = entry
    return rule, owner or "", common


def every(catalogue: ImageRows) -> Iterator[Image]:
    """Yield all images of a catalogue, shown ones first, newest first."""
    for os_hidden in (False, True):
        after: Image | None = None
        while page := catalogue.page(Query(os_hidden=os_hidden, limit=PAGE, after=after)):
            yield from page
            after = page[-1]
