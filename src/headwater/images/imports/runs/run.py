"""One run of one import, and what ends it from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headwater.errors import HeadwaterError
from headwater.identity.caller import Caller
from headwater.images.imports.rules import Order
from headwater.images.imports.tries import Looking
from headwater.images.model import Image
from headwater.images.task import Task
from headwater.jobs.queue import Job


class ImportFailed(HeadwaterError):
    """The data cannot become the image's. The message is for the task."""


class ImageLost(HeadwaterError):
    """The image was deleted, or another import has it."""

    def __init__(self) -> None:
        super().__init__("the image was deleted before its import was over")


@dataclass(slots=True)
class Run:
    """One run of one import."""

    job: Job
    order: Order
    task: Task
    image: Image  # as it was when the run began
    look: Looking  # raises where the run is to end: for a stop, because it is cancelled, or the image is lost
    failed: dict[str, str] = field(default_factory=dict)  # stores that did not take the data, and why
    said: Mapping[str, Any] = field(default_factory=dict)  # what the rows of its objects say
    after: Image = field(init=False)  # what plugins make of the image

    def __post_init__(self) -> None:
        self.after = self.image

    @property
    def caller(self) -> Caller:
        """Whoever asked for the import."""
        return asked_by(self.task)


def asked_by(task: Task) -> Caller:
    """Return whoever asked for an import, as far as its task tells."""
    return Caller(project_id=task.owner, user_id=task.user_id, request_id=task.request_id)
