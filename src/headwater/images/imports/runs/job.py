"""Carry out imports: the job behind ``POST /v2/images/{id}/import``.

One run reads its source once and writes it once to each store, side by side; what lies in a store that it is to come to
becomes the image's without being read. The order of steps, and why a crash between two of them is harmless:

1. The catalogue notes an object for each store, as one of this import. What a run before this one noted is
   discarded, or gone on with (``left.py``): its process is gone, or only slow, and then finds in step 4 that it has
   lost.
2. The bytes are read, checked and written.
3. The stores make the objects durable.
4. One transaction gives them to the image, which turns active, discards the rest, and ends the task.

A failure ends in one transaction too: the image waits again (one that is copied stays active), what was staged and
written is discarded, and the task says why. Where it was a store that did not take it, what is staged stays, and the
image waits for another import. An import that somebody cancels ends like that; who cancels it before step
4, which looks once more, is not too late. A server or a store that may work later is asked again by a later run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from headwater.clock import Clock, now
from headwater.errors import Conflict, HeadwaterError, TooLarge
from headwater.fetching.fetcher import Fetcher
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.imports.import_objects import ImportObjectRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import Pools
from headwater.images.imports.plugins.processing import Plugins
from headwater.images.imports.regions.remote_image import RemoteImages
from headwater.images.imports.rules import Order
from headwater.images.imports.runs.ending import Ending
from headwater.images.imports.runs.methods import Methods
from headwater.images.imports.runs.run import ImageLost, Run
from headwater.images.imports.tries import Looking, Tries
from headwater.images.imports.writing import StoreFailed
from headwater.images.locations.known_stores import ONE_STORE, KnownStores
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.verification import Signatures
from headwater.images.task import Task, TaskNotFound, TaskStatus, TaskStatusConflict
from headwater.jobs.queue import Cancelled, Job
from headwater.jobs.runner import GivenUp, Later, TryAgain
from headwater.stores.store import ObjectStore, StoreUnavailable

_log = logging.getLogger(__name__)

KIND = "import"


class ImportRuns:
    """What runs the jobs; safe to use from several threads."""

    def __init__(
        self,
        changes: Changes,
        catalogue: ImageRows,
        objects: ImportObjectRows,
        kept: TaskRows,
        scrubber: Scrubber,
        *,
        stores: Mapping[str, ObjectStore],
        fetcher: Fetcher,
        settings: ImagesSettings,
        signatures: Signatures,
        pools: Pools,
        plugins: Plugins,
        remote_images: RemoteImages,
        known: KnownStores = ONE_STORE,
        stopping: Callable[[], bool],
        again: Callable[[Order, Task], None],
        clock: Clock = now,
    ) -> None:
        """Take what they work with.

        Args:
            plugins: What is done with data that comes in, in this order.
            again: Begins an import that has failed once more.
            stopping: Whether this process is about to end; a run then makes way for another process.
        """
        self._ending = ending = Ending(
            changes, catalogue, objects, scrubber, settings=settings, signatures=signatures, clock=clock
        )
        self._methods = Methods(
            ending,
            catalogue,
            objects,
            stores=stores,
            fetcher=fetcher,
            settings=settings,
            signatures=signatures,
            pools=pools,
            plugins=plugins,
            remote_images=remote_images,
            known=known,
        )
        self._tasks = kept
        self._stopping = stopping
        self._begin_again = again
        self._tries = Tries(settings.http_retries)
        self._clock = clock

    def run(self, job: Job) -> None:
        """Carry out the order that a job keeps; it may have run before, here or elsewhere.

        Raises:
            Later, TryAgain: It is to run again.
            GivenUp: It has failed, and its task and image say so.
            Exception: As ``Tries.again`` says.
        """
        order = Order.of(job.document)
        try:
            task = self._tasks.move(order.task_id, TaskStatus.PROCESSING, self._clock())
        except (TaskNotFound, TaskStatusConflict):
            if job.attempts == 1:  # of a task that is over: somebody wants it to be tried again
                self._retry(order)
            return  # else by a run whose end could not be noted
        try:
            self._attempt(job, order, task)
        except TaskStatusConflict:
            _log.info("an import was ended elsewhere", extra={"task": order.task_id})

    def _retry(self, order: Order) -> None:
        with suppress(TaskNotFound, ImageNotFound):
            failed = self._tasks.get(order.task_id)
            if failed.status is not TaskStatus.FAILURE:
                return
            try:
                self._begin_again(order, failed)
            except (Conflict, TooLarge) as error:
                raise GivenUp(f"it cannot be tried again: {error}") from error

    def _attempt(self, job: Job, order: Order, task: Task) -> None:
        failed: dict[str, str] = {}
        try:
            job.require_wanted()
            self._tries.begin(job.attempts)
            image = self._ending.present(order)
            look = Looking(job, self._stopping, lambda: self._ending.present(order))
            self._methods.bring(Run(job, order, task, image, look, failed))
        except (Later, TryAgain, TaskStatusConflict):
            raise
        except Exception as raised:  # noqa: BLE001 - told to whoever asked, and raised again
            error = ImageLost() if isinstance(raised, ImageNotFound) else raised  # whichever step saw it first
            self._again(job.attempts, error)
            known = error if isinstance(error, HeadwaterError) else None
            facts = {"task": task.id, "image": order.image_id, "reason": str(error)}
            _log.warning("an import failed", extra=facts, exc_info=known is None)
            told = known.told if known is not None else "Headwater has erred; its log has more"
            keeps_staged = order.keeps_staged and isinstance(error, StoreFailed)
            self._ending.give_up(order, task, told, failed, keeps_staged=keeps_staged)
            if not isinstance(error, Cancelled | ImageLost):
                raise GivenUp(str(error) if known is not None else told) from error

    def _again(self, attempt: int, error: Exception) -> None:
        """Raise what lets the job run again; return when it is to be given up."""
        cause = error.__cause__ if isinstance(error, StoreFailed) else error
        if isinstance(cause, StoreUnavailable):
            self._tries.of_store(attempt, cause)
        elif isinstance(cause, Exception):
            self._tries.again(attempt, cause)
