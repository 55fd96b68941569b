"""Bring the bytes of a URL into an image, while nobody waits for it.

A copy is a job, entered in the transaction that makes it necessary. It goes the way of every upload (begin, pieces,
finish or abandon), so hashes, inspection and limits are the same, and memory is that of one upload. Whatever ends it
too early leaves the image queued and no bytes, and the job begins again:

* a process that dies leaves the note of its upload, which makes the image wait again (see ``data/uploads.py``), and its
  job, which another process claims; until the first has happened the job waits;
* a server that does not answer may do so later: the job pauses, longer each time (see ``tries.py``).

What will not change by waiting (no such file, not what the image says, too large) ends it at once. Then a task says
why, and the image is what its order says, killed or still queued.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from headwater.clock import Clock, now
from headwater.database.documents import known
from headwater.errors import HeadwaterError
from headwater.fetching.fetcher import Fetcher
from headwater.identity.caller import Caller
from headwater.images.catalogue import tasks
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.images import ImageRows, changed
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.catalogue.transaction import Step
from headwater.images.data.gathering import bring
from headwater.images.data.session import Terms
from headwater.images.data.uploads import Uploads
from headwater.images.imports.tries import Looking, Tries
from headwater.images.model import Image, Status, StatusConflict
from headwater.images.task import UNFINISHED, TaskNotFound, TaskStatus
from headwater.jobs import leases
from headwater.jobs.queue import Job
from headwater.jobs.runner import Later

_log = logging.getLogger(__name__)

KIND = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to copy, and for whom."""

    image_id: str
    url: str = field(repr=False)  # its query may hold a signature
    caller: Caller  # as it was when it asked, without its token
    store: str | None = None  # where the data goes; None: where all uploads go
    task_id: str | None = None  # which task tells of it
    failed: Status = Status.KILLED  # what becomes of the image when it fails for good, KILLED or QUEUED

    def to_dict(self) -> dict[str, Any]:
        """Return what a job's document holds."""
        caller = self.caller
        return {
            "image_id": self.image_id,
            "url": self.url,
            "store": self.store,
            "task_id": self.task_id,
            "failed": self.failed.value,
            "caller": {
                "user_id": caller.user_id,
                "project_id": caller.project_id,
                "roles": sorted(caller.roles),
                "service_roles": sorted(caller.service_roles),
                "system_scope": caller.system_scope,
                "domain_id": caller.domain_id,
                "request_id": caller.request_id,
            },
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Order:
        """Return the order that ``to_dict`` wrote down, maybe that of another release."""
        caller = known(Caller, document["caller"])
        caller |= {name: frozenset(caller[name]) for name in ("roles", "service_roles")}
        given = known(cls, document)
        return cls(**{**given, "failed": Status(given["failed"]), "caller": Caller(**caller)})


class WebCopy:
    """Takes orders and carries them out; safe to use from several threads."""

    def __init__(
        self,
        catalogue: ImageRows,
        changes: Changes,
        uploads: Uploads,
        fetcher: Fetcher,
        kept: TaskRows,
        *,
        clock: Clock = now,
        stopping: Callable[[], bool] = lambda: False,
        task_kept_s: int,
        retries: int,
    ) -> None:
        """Take what it works with.

        Args:
            retries: How often a server that fails is asked again.
            stopping: Says whether this process is about to end, so that copies make way.
            task_kept_s: How long a task that is over is shown.
        """
        self._catalogue = catalogue
        self._changes = changes
        self._uploads = uploads
        self._fetcher = fetcher
        self._tasks = kept
        self._clock = clock
        self._stopping = stopping
        self._task_kept_s = task_kept_s
        self._tries = Tries(retries)

    def require(self, url: str) -> None:
        """Return when the URL may be fetched; raise ``UrlRefused`` when not. It is judged again when it is fetched."""
        self._fetcher.check(url)

    def entered(self, order: Order) -> Step[str]:
        """Take an order, beside what makes its image wait for the data."""
        return tasks.job(KIND, order.to_dict(), self._clock())

    def run(self, job: Job) -> None:
        """Carry out the order that a job keeps.

        Raises:
            Later: Not all is there that it needs, or the process stops.
            Exception: It failed, and may succeed the next time; see ``Tries.again``.
        """
        order = Order.from_dict(job.document)
        if self._task_is_over(order):  # a run before this one came so far and no further
            self._after_failure(order)
            return
        try:
            self._attempt(job, order)
        except Later:
            raise
        except Exception as error:  # noqa: BLE001 - raised again, or told to whoever asked for the copy
            self._tries.again(job.attempts, error)
            if isinstance(error, HeadwaterError):
                self._give_up(order, str(error))
            else:
                _log.exception("a copy failed", extra={"image": order.image_id, "error": str(error)})
                self._give_up(order, "Headwater has erred; its log has more")

    def _attempt(self, job: Job, order: Order) -> None:
        job.require_wanted()
        self._tries.begin(job.attempts)
        image = self._catalogue.get(order.image_id)
        if order.task_id is not None:
            self._move_task(order.task_id, TaskStatus.PROCESSING)
        if image.status is Status.SAVING:
            # Perhaps of a run whose process died, until that is noticed.
            raise Later(leases.RENEW_EVERY_S, f"image {image.id} is being uploaded to")
        if not (job.attempts > 1 and image.status is Status.ACTIVE):  # else the run before this one had finished
            if image.status is not Status.QUEUED:
                raise StatusConflict(image.id, image.status, Status.SAVING)
            self._bring(job, order, image)
        if order.task_id is not None:
            self._move_task(order.task_id, TaskStatus.SUCCESS, result={"image_id": order.image_id})

    def _bring(self, job: Job, order: Order, image: Image) -> None:
        look = Looking(job, self._stopping, lambda: self._catalogue.get(order.image_id))
        terms = Terms(checksum=image.checksum, store=order.store)
        with self._fetcher.open(order.url, look=look) as fetched:
            data = self._uploads.begin(order.caller, order.image_id, fetched.size, terms)
            bring(_looking(fetched, look), data, look)

    # --- The end of it ---------------------------------------------------------------------------

    def _give_up(self, order: Order, reason: str) -> None:
        _log.warning("a copy was given up", extra={"image": order.image_id, "reason": reason})
        if order.task_id is not None:
            self._move_task(order.task_id, TaskStatus.FAILURE, message=reason)
        self._after_failure(order)

    def _after_failure(self, order: Order) -> None:
        def failed(image: Image) -> Image:
            if image.status is not Status.QUEUED or order.failed is Status.QUEUED:
                return image
            return replace(image, status=order.failed, updated_at=max(self._clock(), image.updated_at + 1))

        with self._changes.told(order.caller, "image.update", order.image_id) as change, suppress(ImageNotFound):
            change.commit(changed(order.image_id, failed))

    def _task_is_over(self, order: Order) -> bool:
        if order.task_id is None:
            return False
        try:
            return self._tasks.get(order.task_id).status not in UNFINISHED
        except TaskNotFound:
            return False

    def _move_task(self, task_id: str, status: TaskStatus, **more: Any) -> None:
        with suppress(TaskNotFound):
            self._tasks.move(task_id, status, self._clock(), kept_s=self._task_kept_s, **more)


def _looking(pieces: Iterable[bytes], look: Callable[[], None]) -> Iterable[bytes]:
    for piece in pieces:
        look()
        yield piece
