"""Bring the bytes of a URL into an image, while nobody waits for it.

A copy is a job, entered in the transaction that makes it necessary. It goes the way of every upload (begin, pieces,
finish or abandon), so hashes, inspection and limits are the same, and memory is that of one upload. Whatever ends it
too early leaves the image queued and no bytes, and the job begins again:

* a process that dies leaves the note of its upload, which makes the image wait again (see ``data/uploads.py``), and its
  job, which another process claims; until the first has happened the job waits;
* a server that does not answer may do so later: the job pauses, longer each time, ``ATTEMPTS`` times in all.

What will not change by waiting (no such file, not what the image says, too large) ends it at once. Then a task says
why, and the image is what its order says, killed or still queued.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from headwater.activity.journal import Journal
from headwater.clock import Clock, now
from headwater.database.documents import known
from headwater.errors import HeadwaterError, Unavailable
from headwater.fetching.fetcher import Fetcher, RemoteFailed
from headwater.identity.caller import Caller
from headwater.images.catalogue.images import ImageCatalogue
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.tasks import Tasks
from headwater.images.catalogue.upload_records import UploadLost
from headwater.images.data.buffers import ThreadBuffers
from headwater.images.data.gathering import Gathering
from headwater.images.data.session import Terms, UploadSession
from headwater.images.data.uploads import Uploads
from headwater.images.model import Image, Status, StatusConflict
from headwater.images.task import UNFINISHED, TaskNotFound, TaskStatus
from headwater.jobs import leases
from headwater.jobs.queue import Job, enter
from headwater.jobs.runner import Later, TryAgain

_log = logging.getLogger(__name__)

KIND = "copy"
ATTEMPTS = 6
_PAUSE_S, _LONGEST_PAUSE_S = 2, 60
_TRY_AGAIN = frozenset({408, 425, 429})  # what a server answers to a request that is fine


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
        catalogue: ImageCatalogue,
        uploads: Uploads,
        fetcher: Fetcher,
        tasks: Tasks,
        *,
        journal: Journal | None = None,
        clock: Clock = now,
        stopping: Callable[[], bool] = lambda: False,
        task_kept_s: int,
    ) -> None:
        """Take what it works with.

        Args:
            stopping: Says whether this process is about to end, so that copies make way.
            task_kept_s: How long a task that is over is shown.
        """
        self._catalogue = catalogue
        self._uploads = uploads
        self._fetcher = fetcher
        self._tasks = tasks
        self._journal = journal or Journal()
        self._clock = clock
        self._stopping = stopping
        self._task_kept_s = task_kept_s

    def require(self, url: str) -> None:
        """Return when the URL may be fetched; raise ``UrlRefused`` when not. It is judged again when it is fetched."""
        self._fetcher.check(url)

    def enter(self, connection: Connection, order: Order) -> None:
        """Take an order, inside the transaction that makes its image wait for the data."""
        enter(connection, KIND, order.to_dict(), now=self._clock())

    def run(self, job: Job) -> None:
        """Carry out the order that a job keeps.

        Raises:
            Later: Not all is there that it needs, or the process stops.
            TryAgain: It failed, and may succeed the next time.
        """
        order = Order.from_dict(job.document)
        if self._task_is_over(order):  # a run before this one came so far and no further
            self._after_failure(order)
            return
        try:
            self._attempt(order, again=job.attempts > 1)
        except Later:
            raise
        except HeadwaterError as error:
            if job.attempts < ATTEMPTS and _may_pass(error):
                raise TryAgain(min(_PAUSE_S * 2.0 ** (job.attempts - 1), _LONGEST_PAUSE_S), str(error)) from error
            self._give_up(order, str(error))
        except Exception as error:
            if job.attempts < ATTEMPTS:
                raise
            _log.exception("a copy failed", extra={"image": order.image_id, "error": str(error)})
            self._give_up(order, "Headwater has erred; its log has more")

    def _attempt(self, order: Order, *, again: bool) -> None:
        image = self._catalogue.get(order.image_id)
        if order.task_id is not None:
            self._move_task(order.task_id, TaskStatus.PROCESSING)
        if image.status is Status.SAVING:
            # Perhaps of a run whose process died, until that is noticed.
            raise Later(leases.RENEW_EVERY_S, f"image {image.id} is being uploaded to")
        if not (again and image.status is Status.ACTIVE):  # else the run before this one had finished
            if image.status is not Status.QUEUED:
                raise StatusConflict(image.id, image.status, Status.SAVING)
            self._bring(order, image)
        if order.task_id is not None:
            self._move_task(order.task_id, TaskStatus.SUCCESS, result={"image_id": order.image_id})

    def _bring(self, order: Order, image: Image) -> None:
        terms = Terms(checksum=image.checksum, store=order.store)
        with self._fetcher.open(order.url) as fetched:
            data = self._uploads.begin(order.caller, order.image_id, fetched.size, terms)
            buffers = ThreadBuffers()
            try:
                data.prepare()
                _pour(self._unless_stopped(fetched), data, buffers)
                buffers.settle()
                data.finish()
            except BaseException:
                buffers.settle()
                data.abandon()
                raise
            finally:
                buffers.close()

    def _unless_stopped(self, pieces: Iterable[bytes]) -> Iterable[bytes]:
        for piece in pieces:
            if self._stopping():
                raise Later(0, "this process stops; the copy begins again")
            yield piece

    # --- The end of it ---------------------------------------------------------------------------

    def _give_up(self, order: Order, reason: str) -> None:
        _log.warning("a copy was given up", extra={"image": order.image_id, "reason": reason})
        if order.task_id is not None:
            self._move_task(order.task_id, TaskStatus.FAILURE, message=reason)
        self._after_failure(order)

    def _after_failure(self, order: Order) -> None:
        def change(image: Image) -> Image:
            if image.status is not Status.QUEUED or order.failed is Status.QUEUED:
                return image
            return replace(image, status=order.failed, updated_at=max(self._clock(), image.updated_at + 1))

        with self._journal.entry(order.caller, "image.update", order.image_id) as entry, suppress(ImageNotFound):
            self._catalogue.change(order.image_id, change, entry.keep)

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


def _may_pass(error: HeadwaterError) -> bool:
    """Return whether the same may succeed a while later."""
    if isinstance(error, RemoteFailed):
        return error.status is None or error.status >= 500 or error.status in _TRY_AGAIN
    return isinstance(error, Unavailable | UploadLost)


def _pour(pieces: Iterable[bytes], data: UploadSession, buffers: ThreadBuffers) -> None:
    """Hand all pieces to ``data``, gathered into buffers."""
    with closing(Gathering(data, buffers)) as gathering:
        for piece in pieces:
            offset = 0
            while offset < len(piece):
                if gathering.needs_buffer:
                    gathering.use(buffers.take())
                offset += gathering.add(piece, offset)
        gathering.flush()
