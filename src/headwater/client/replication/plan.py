"""What there is to do for each image, told before anything is done."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from headwater.client.replication.choice import Choice
from headwater.client.replication.metadata import MARK, changes, named, same_data
from headwater.client.service import Document, ImageService


class Action(StrEnum):
    COPY = "copy"  # the target lacks it
    RESUME = "resume"  # an earlier run has begun
    UPDATE = "update"  # the data are there, what is known of them differs
    DELETE = "delete"  # the source has it no more
    NONE = "none"


class Outcome(StrEnum):
    DONE = "done"
    PLANNED = "planned"  # a dry run
    REPORTED = "reported"  # it would need another option
    SAME = "same"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(slots=True)
class Step:
    """One image, and what has become of it."""

    image: Document  # of the source; of the target for what is deleted
    action: Action
    outcome: Outcome = Outcome.PLANNED
    found: Document | None = None  # at the target
    verified_by: str | None = None
    error: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def bytes_to_copy(self) -> int:
        return self.image.get("size") or 0 if self.action in (Action.COPY, Action.RESUME) else 0

    def to_dict(self) -> Document:
        """Return what the report says of it."""
        said = {"id": self.image["id"], "name": self.image.get("name"), "size": self.image.get("size")}
        rest = {"verified_by": self.verified_by, "notes": self.notes, "error": self.error}
        return {**said, "action": str(self.action), "outcome": str(self.outcome), **rest}


def refused(step: Step, reason: str) -> Step:
    """Return ``step`` as one that failed."""
    step.outcome, step.error = Outcome.FAILED, reason
    return step


def is_uuid(text: object) -> bool:
    """Return whether this can be the id of an image, and thus stand in a path."""
    try:
        return str(uuid.UUID(str(text))) == text
    except ValueError:
        return False


def compared(image: Document, found: Document, *, updates: bool) -> Step:
    """Return the step for an image that the target has as well, not by a copy that is under way."""
    step = Step(image, Action.NONE, Outcome.SAME, found)
    if found["status"] not in ("active", "deactivated"):
        return refused(step, f"the target has an image with this id that is {found['status']}, which is not ours")
    is_same, step.verified_by = same_data(image, found)
    if not is_same:
        return refused(step, "the target has an image with this id that has other data")
    if step.verified_by is None:
        step.notes.append("the services tell no common digest: only the sizes were compared")
    if differing := named(changes(image, found)):
        step.notes.append(f"differs in {', '.join(differing)}")
        step.action = Action.UPDATE
        step.outcome = Outcome.PLANNED if updates else Outcome.REPORTED
    return step


def deletions(
    source: ImageService, target: ImageService, choice: Choice, mark: str, *, deletes: bool
) -> Iterator[Step]:
    """Yield the copies from this source that it has no more."""
    for found in choice.of(target, **{MARK: mark}):
        # A list leaves out much that the source has; only its 404 to the id itself counts.
        if found.get(MARK) == mark and is_uuid(found["id"]) and source.get(found["id"]) is None:
            yield Step(found, Action.DELETE, Outcome.PLANNED if deletes else Outcome.REPORTED, found)
