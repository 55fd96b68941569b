"""One run: what is there is compared with what is offered, and made so; one image that fails keeps no other back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from headwater.client.service import Unreachable
from headwater.errors import HeadwaterError
from headwater.streams.syncing.bringing import STALE_S, Bringing
from headwater.streams.syncing.items import Offered
from headwater.streams.syncing.planning import Action, Document, Outcome, Step, latest_changes, operations_to, planned
from headwater.streams.syncing.targets.target import Target, UseUnknown
from headwater.streams.syncing.terms import Old, SyncTerms
from headwater.streams.trees.tree import Tree

_BUSY = frozenset({"saving", "importing"})


class Hooks(Protocol):
    """What is told of images."""

    def after_image(self, step: Step) -> None:
        """Tell of one image that came, changed or went; raise ``HeadwaterError`` when that fails."""


class NoHooks:
    """Tells nobody."""

    def after_image(self, step: Step) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Report:
    """What a run found and did."""

    steps: list[Step]
    problems: list[str] = field(default_factory=list)  # of items that cannot become images, and of the run itself
    latest: int = 0  # images whose property ``latest`` changed

    @property
    def failed(self) -> int:
        return sum(step.outcome is Outcome.FAILED for step in self.steps) + len(self.problems)

    @property
    def changed(self) -> int:
        """How many images the run changed."""
        return sum(step.outcome is Outcome.DONE and step.did not in ("", "kept") for step in self.steps)

    @property
    def counts(self) -> dict[str, int]:
        """How many images there are of each thing that was done."""
        found: dict[str, int] = {}
        for step in self.steps:
            word = {Outcome.FAILED: "failed", Outcome.SKIPPED: "skipped", Outcome.PLANNED: f"to {step.action}"}.get(
                step.outcome, step.did or "same"
            )
            if step.action is Action.SAME:
                word = "same"
            found[word] = found.get(word, 0) + 1
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "counts": self.counts,
            "problems": self.problems,
            "latest_changed": self.latest,
            "images": [step.to_dict() for step in self.steps],
        }


class Sync:
    """A feed's tree, an Image service, and what is wanted."""

    def __init__(
        self,
        tree: Tree,
        target: Target,
        terms: SyncTerms,
        *,
        hooks: Hooks | None = None,
        require_wanted: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take them.

        Args:
            require_wanted: Raises when the run is to end; nothing that it raises is taken for a failure of an image.
        """
        self._target, self._terms, self._hooks = target, terms, hooks or NoHooks()
        self._require_wanted = require_wanted
        self._is_away = False  # the service does not answer: neither would it the next time
        self._bringing = Bringing(tree, target, terms, require_wanted=require_wanted, sleep=sleep)

    def plan(self, offered: Offered) -> Report:
        """Return what a run would do; nothing is changed."""
        images = list(self._target.images_of(self._terms.marked))
        return Report(planned(offered.items, images, self._terms), [str(each) for each in offered.problems])

    def perform(self, report: Report, shown: Callable[[int], None] = lambda _: None) -> None:
        """Do what the plan says, and note in it what has become of each image.

        Args:
            shown: Is told how many bytes of all have come.
        """
        came, failed = 0, set[tuple[str, str]]()
        for step in report.steps:
            self._require_wanted()
            if step.item is not None:
                self._do(step, lambda step=step, came=came: self._bringing.bring(step, lambda n: shown(came + n)))  # type: ignore[misc]  # binds this turn's
                came += step.bytes_to_come
                if step.outcome in (Outcome.FAILED, Outcome.SKIPPED):
                    failed.add(step.key.family)
        for step in report.steps:
            self._require_wanted()
            if step.item is None and step.key.family in failed:
                step.outcome = Outcome.SKIPPED
                step.notes.append("a newer one did not come")
            elif step.item is None:
                self._do(step, lambda step=step: self._leave(step))  # type: ignore[misc]  # as above
        if self._terms.latest_property and not self._is_away:
            self._mark_latest(report)

    def _do(self, step: Step, work: Callable[[], None]) -> None:
        if step.action is Action.SAME:
            step.outcome = Outcome.DONE
            return
        if self._is_away:
            step.outcome = Outcome.SKIPPED
            step.notes.append("the service did not answer before")
            return
        try:
            work()
            step.outcome = Outcome.DONE
            if step.did not in ("", "kept"):
                self._hooks.after_image(step)
        except HeadwaterError as error:
            self._require_wanted()
            self._is_away = isinstance(error, Unreachable)
            step.failed(str(error))

    # --- What leaves ---------------------------------------------------------------------------------

    def _leave(self, step: Step) -> None:
        image = step.image
        assert image is not None
        if step.action is Action.DISCARD:
            self._discard(step, image)
            return
        how = self._terms.old
        if how is Old.DELETE:
            how = self._deleted_or_hidden(step, image)
        elif how is Old.DELETE_ALWAYS and image.get("protected"):
            step.notes.append("it is protected")
            how = Old.HIDE
        if how in (Old.DELETE, Old.DELETE_ALWAYS):
            self._target.delete(image["id"])
            step.did = "deleted"
        elif how is Old.DEACTIVATE:
            self._target.deactivate(image["id"])
            step.did = "deactivated"
        elif image.get("os_hidden"):
            step.did = "kept"
        else:
            step.image = self._target.change(image["id"], operations_to(image, {"os_hidden": True}))
            step.did = "hidden"

    def _deleted_or_hidden(self, step: Step, image: Document) -> Old:
        if image.get("protected"):
            step.notes.append("it is protected")
            return Old.HIDE
        try:
            user = self._target.user_of(image, self._terms.used_days)
        except UseUnknown as error:
            step.notes.append(f"nobody can say whether it is used: {error}")
            return Old.HIDE
        if user is not None:
            step.notes.append(f"it is used: {user}")
        return Old.DELETE if user is None else Old.HIDE

    def _discard(self, step: Step, image: Document) -> None:
        if image["status"] in _BUSY and self._bringing.age_s(image) < STALE_S:
            step.did = "kept"
            step.notes.append(f"it is {image['status']}, by somebody else")
            return
        self._target.delete(image["id"])
        step.did = "deleted"

    def _mark_latest(self, report: Report) -> None:
        try:
            for image, operations in latest_changes(self._target.images_of(self._terms.marked)):
                self._target.change(image["id"], operations)
                report.latest += 1
        except HeadwaterError as error:
            self._require_wanted()
            report.problems.append(f"the property latest: {error}")
