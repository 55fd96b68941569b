"""Carry out imports: the job behind ``POST /v2/images/{id}/import``.

One run reads its source once and writes it once to each store, side by side; what lies in a store that it is to come to
becomes the image's without being read. The order of steps, and why a crash between two of them is harmless:

1. The catalogue notes an object for each store, as one of this import. What a run before this one noted is
   discarded: its process is gone, or only slow, and then finds in step 4 that it has lost.
2. The bytes are read, checked and written.
3. The stores make the objects durable.
4. One transaction gives them to the image, which turns active, discards the rest, and ends the task.

A failure ends in one transaction too: the image waits again (one that is copied stays active), what was staged and
written is discarded, and the task says why. A server or a store that may work later is asked again by a later run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headwater.clock import Clock, now
from headwater.errors import HeadwaterError
from headwater.fetching.fetcher import Fetcher
from headwater.identity.caller import Caller
from headwater.images.catalogue import images, locations, tasks
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.images import ImageCatalogue
from headwater.images.catalogue.imports import import_objects
from headwater.images.catalogue.imports.import_objects import ImportObjects
from headwater.images.catalogue.rows import ImageNotFound, if_there
from headwater.images.catalogue.tasks import Tasks
from headwater.images.catalogue.transaction import Step
from headwater.images.catalogue.usage import Used
from headwater.images.data.buffers import ThreadBuffers
from headwater.images.data.gathering import pour
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import Pools
from headwater.images.imports import rules
from headwater.images.imports.checking import (
    Check,
    Facts,
    HashMismatch,
    KeptData,
    NewData,
    SourceDamaged,
    require_size,
)
from headwater.images.imports.plugins.plugin import Work
from headwater.images.imports.plugins.processing import Plugins, Processed
from headwater.images.imports.rules import Order
from headwater.images.imports.sources import KeptSource, Source, WebSource
from headwater.images.imports.tries import Tries
from headwater.images.imports.writing import StoreFailed, Target, Writing, targets_in
from headwater.images.inspection.inspect import Inspection
from headwater.images.locations.known_stores import ONE_STORE, KnownStores
from headwater.images.locations.rules import Validation
from headwater.images.model import RIGHT, Held, Image, ImageLocation, Location, Status
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.verification import Signatures, Verification
from headwater.images.task import Task, TaskNotFound, TaskStatus, TaskStatusConflict
from headwater.jobs.queue import Job
from headwater.jobs.runner import Later, TryAgain
from headwater.stores.store import ObjectStore, StoreUnavailable

_log = logging.getLogger(__name__)

KIND = "import"
TELL_EVERY_S = 2.0  # how often the task is told how far it is, and the catalogue asked whether it goes on


class ImportFailed(HeadwaterError):
    """The data cannot become the image's. The message is for the task."""


class ImageLost(HeadwaterError):
    """The image was deleted, or another import has it."""

    def __init__(self) -> None:
        super().__init__("the image was deleted before its import was over")


@dataclass(slots=True)
class _Run:
    """One run of one import."""

    order: Order
    task: Task
    image: Image  # as it was when the run began
    failed: list[str]  # stores that did not take the data
    after: Image = field(init=False)  # what plugins make of the image

    def __post_init__(self) -> None:
        self.after = self.image

    @property
    def caller(self) -> Caller:
        task = self.task
        return Caller(project_id=task.owner, user_id=task.user_id, request_id=task.request_id)


class ImportRuns:
    """What runs the jobs; safe to use from several threads."""

    def __init__(
        self,
        changes: Changes,
        catalogue: ImageCatalogue,
        objects: ImportObjects,
        kept: Tasks,
        scrubber: Scrubber,
        *,
        stores: Mapping[str, ObjectStore],
        fetcher: Fetcher,
        settings: ImagesSettings,
        signatures: Signatures,
        pools: Pools,
        plugins: Plugins,
        known: KnownStores = ONE_STORE,
        stopping: Callable[[], bool],
        clock: Clock = now,
    ) -> None:
        """Take what they work with.

        Args:
            plugins: What is done with data that comes in, in this order.
            stopping: Whether this process is about to end; a run then makes way for another process.
        """
        self._changes = changes
        self._catalogue = catalogue
        self._objects = objects
        self._tasks = kept
        self._scrubber = scrubber
        self._stores = stores
        self._fetcher = fetcher
        self._settings = settings
        self._signatures = signatures
        self._pools = pools
        self._plugins = plugins
        self._known = known
        self._stopping = stopping
        self._tries = Tries(settings.http_retries)
        self._clock = clock

    def run(self, job: Job) -> None:
        """Carry out the order that a job keeps; it may have run before, here or elsewhere.

        Raises:
            Later, TryAgain: It is to run again.
            Exception: As ``Tries.again`` says.
        """
        order = Order.of(job.document)
        try:
            task = self._tasks.move(order.task_id, TaskStatus.PROCESSING, self._clock())
        except (TaskNotFound, TaskStatusConflict):
            return  # ended already, by a run whose end could not be noted
        try:
            self._attempt(order, task, job.attempts)
        except TaskStatusConflict:
            _log.info("an import was ended elsewhere", extra={"task": order.task_id})

    def _attempt(self, order: Order, task: Task, attempt: int) -> None:
        failed: list[str] = []
        try:
            run = _Run(order, task, self._present(order), failed)
            self._import(run)
        except (Later, TryAgain, TaskStatusConflict):
            raise
        except Exception as error:  # noqa: BLE001 - raised again, or told to whoever began the import
            self._again(attempt, error)
            known = error if isinstance(error, HeadwaterError) else None
            facts = {"task": task.id, "image": order.image_id, "reason": str(error)}
            _log.warning("an import failed", extra=facts, exc_info=known is None)
            told = known.told if known is not None else "Headwater has erred; its log has more"
            self._give_up(order, task, told, failed)

    def _again(self, attempt: int, error: Exception) -> None:
        """Raise what lets the job run again; return when it is to be given up."""
        cause = error.__cause__ if isinstance(error, StoreFailed) else error
        if isinstance(cause, StoreUnavailable):
            self._tries.of_store(attempt, cause)
        elif isinstance(cause, Exception):
            self._tries.again(attempt, cause)

    def _present(self, order: Order) -> Image:
        try:
            image = self._catalogue.get(order.image_id)
        except ImageNotFound as error:
            raise ImageLost from error
        self._require_ours(order, image)
        return image

    def _require_ours(self, order: Order, image: Image) -> None:
        status = {Status.ACTIVE, Status.DEACTIVATED} if order.method == rules.COPY else {Status.IMPORTING}
        if image.status not in status or not rules.is_imported_by(image, order.task_id):
            raise ImageLost

    # --- Its three methods ------------------------------------------------------------------------

    def _import(self, run: _Run) -> None:
        order = run.order
        if order.method == rules.DIRECT:
            self._import_staged(run)
        elif order.method == rules.COPY:
            self._copy(run)
        else:
            self._download(run)

    def _import_staged(self, run: _Run) -> None:
        staged = self._objects.staged(run.order.image_id)
        if staged is None:
            raise ImportFailed("nothing is staged for this image")
        facts = Facts.of(staged.facts)
        source = KeptSource(self._stores, [staged.location], staged.size)
        if self._plugins and self._plugins.want(run.image, source, self._work(run, self._plugins.scratch_dir)):
            as_staged = Validation(facts.os_hash_algo or "md5", facts.os_hash_value or facts.checksum or "")
            self._bring_processed(run, source, as_staged, lambda said, _: SourceDamaged(said.os_hash_algo))
            return
        if self._plugins:
            run.after = self._plugins.told(run.image, self._work(run, self._plugins.scratch_dir))
        if rules.formats(run.after) != facts.formats:
            self._bring(run, source, lambda: self._new_data(run, None), run.order.stores)
            return
        if facts.refused is not None:
            raise ImportFailed(facts.refused)
        verification = self._signatures.verification(run.caller, run.after)
        here = [staged.location] if staged.location.store in run.order.stores else []
        others = [name for name in run.order.stores if name != staged.location.store]
        if not others and verification is None:
            self._finish(run, facts, here, None)
            return
        check = KeptData(facts, verification, pool=self._pools.hashing)
        self._bring(run, source, lambda: check, others, here)

    def _download(self, run: _Run) -> None:
        order = run.order
        assert order.url is not None
        source = WebSource(self._fetcher, order.url, retries=self._settings.http_retries)
        if self._plugins:  # what is said of the hash is said of what comes, not of what they make of it
            self._bring_processed(run, source, order.validation, HashMismatch)
        else:
            self._bring(run, source, lambda: self._new_data(run, order.validation), order.stores)

    def _copy(self, run: _Run) -> None:
        image = run.image
        held = [each for each in self._catalogue.held(image.id) if each.verdict in (None, RIGHT)]
        if not held:
            raise ImportFailed("the image's data was found wrong in every place where it is")
        places = [each.at for each in self._known.ranked(held, lambda each: each.at)]
        facts = Facts(
            size=image.size or 0,
            virtual_size=image.virtual_size,
            checksum=image.checksum,
            os_hash_algo=image.os_hash_algo,
            os_hash_value=image.os_hash_value,
        )
        check = KeptData(facts, None, pool=self._pools.hashing)
        if any(place.is_external for place in places):  # in a store of ours it would be believed from then on
            verification = self._signatures.verification(run.caller, image)
            check = KeptData(facts, verification, pool=self._pools.hashing, inspection=self._inspection(image))
        source = KeptSource(self._stores, places, facts.size)
        self._bring(run, source, lambda: check, run.order.stores)

    def _new_data(self, run: _Run, validation: Validation | None) -> Check:
        image = run.after
        return NewData(
            self._inspection(image),
            rules.formats(image),
            self._signatures.verification(run.caller, image),
            algorithm=self._settings.hash_algorithm,
            validation=validation,
            pool=self._pools.hashing,
        )

    def _inspection(self, image: Image) -> Inspection:
        return Inspection(image.disk_format or "raw", self._settings.inspection, bare=image.container_format == "bare")

    # --- Plugins ----------------------------------------------------------------------------------

    def _bring_processed(
        self,
        run: _Run,
        source: Source,
        validation: Validation | None,
        mismatch: Callable[[Validation, str], HeadwaterError],
    ) -> None:
        processed = Processed(
            source,
            self._plugins,
            run.image,
            lambda directory: self._work(run, directory),
            validation=validation,
            mismatch=mismatch,
        )

        def checks() -> Check:
            run.after = processed.image
            return self._new_data(run, None)

        self._bring(run, processed, checks, run.order.stores)

    def _work(self, run: _Run, directory: Path) -> Work:
        told = time.monotonic()

        def advance(done: int, total: int | None) -> None:
            nonlocal told
            if self._stopping():
                raise Later(0, "this process stops; the import begins again")
            if time.monotonic() - told > TELL_EVERY_S:
                self._present(run.order)  # as nothing is written yet whose loss would tell
                self._tell(run, done, total, ())
                told = time.monotonic()

        return Work(
            scratch=directory,
            size_cap=self._settings.size_cap,
            rules=self._settings.inspection,
            roles=frozenset(run.order.roles),
            is_signed=self._signatures.verification(run.caller, run.image) is not None,
            advance=advance,
        )

    # --- The way of the bytes ---------------------------------------------------------------------

    def _bring(
        self,
        run: _Run,
        source: Source,
        checks: Callable[[], Check],
        stores: Sequence[str],
        here: Sequence[Location] = (),
    ) -> None:
        """Read the source, write it to the stores, and give all that is durable to the image.

        Args:
            checks: Returns what looks at the bytes, once it is known what they are to be.
            here: What is durable already.
        """
        try:
            source.open()
            check = checks()
            if check.verification is not None:
                check.verification.prepare()
            if source.size is not None:
                require_size(source.size, self._settings.size_cap)
            targets = targets_in(run.order.image_id, stores)
            self._note(run, targets, source.size)
            facts, written = self._poured(run, source, check, targets, is_safe=bool(here))
        finally:
            source.close()
        self._finish(run, facts, [*here, *written], check.verification)

    def _poured(
        self, run: _Run, source: Source, check: Check, targets: Sequence[Target], *, is_safe: bool
    ) -> tuple[Facts, list[Location]]:
        writing = Writing(
            targets,
            check.lanes,
            self._pools.storing,
            must_all=run.order.all_must_succeed,
            needs_one=not is_safe,
            cap=self._settings.size_cap,
        )
        buffers = ThreadBuffers()
        try:
            writing.begin(self._stores, source.size)
            pour(self._watched(run, source, targets), writing, buffers)
            buffers.settle()
            writing.require_well()
            facts = check.finish(writing.received)
            written = writing.commit()
        except BaseException:
            buffers.settle()
            writing.abort()
            raise
        finally:
            run.failed += [each.location.store for each in targets if each.error is not None]
            buffers.close()
        return facts, written

    def _watched(self, run: _Run, source: Source, targets: Sequence[Target]) -> Iterator[bytes]:
        """Yield the pieces of a source, and tell now and then how far it is."""
        told, done = time.monotonic(), 0
        for piece in source:
            if self._stopping():
                raise Later(0, "this process stops; the import begins again")
            if time.monotonic() - told > TELL_EVERY_S:
                self._tell(run, done, source.size, targets)
                told = time.monotonic()
            yield piece
            done += len(piece)
        self._tell(run, done, done, targets)

    def _tell(self, run: _Run, done: int, total: int | None, targets: Iterable[Target]) -> None:
        room, owner = self._changes.room(), run.image.owner

        def require_room(used: Used) -> None:
            if room is not None:
                room.require(used, owner, "image_size_total")

        going = [each.location for each in targets if each.error is None]
        order = run.order
        self._objects.advanced(order.image_id, order.task_id, going, done, total, require_room=require_room)

    # --- What the catalogue is told ---------------------------------------------------------------

    def _note(self, run: _Run, targets: Sequence[Target], size: int | None) -> None:
        order = run.order
        places = [each.location for each in targets]
        with self._changes.told(run.caller, "image.update", order.image_id, if_moved=True) as change:
            change.read_limits()
            begun = import_objects.begun(order.image_id, order.task_id, places, size, self._clock())
            left = change.commit(begun, self._goes_on(order))
        self._remove(left)

    def _finish(self, run: _Run, facts: Facts, given: Sequence[Location], verification: Verification | None) -> None:
        """Give what is durable to the image, and end the task."""
        order, at = run.order, self._clock()
        copies = order.method == rules.COPY

        def moved(image: Image, held: Held) -> tuple[Image, Held]:
            self._require_ours(order, image)
            after = rules.imported(image, at, run.failed)
            if not copies:
                after = self._active(run, after, facts, verification)
            elif (image.os_hash_value, image.size) != (facts.os_hash_value, facts.size):
                raise ImportFailed("the image's data is another than the one that was copied")
            return after, (*held, *(ImageLocation(at=each) for each in given))

        action = "image.update" if copies else "image.upload"
        with self._changes.told(run.caller, action, order.image_id) as change:
            change.read_limits()
            try:
                left = change.commit(
                    import_objects.ended(order.image_id, given, at),
                    locations.changed(order.image_id, moved, at),
                    self._goes_on(order),
                    self._ended(order, TaskStatus.SUCCESS, result={"image_id": order.image_id}),
                )
            except ImageNotFound as error:
                raise ImageLost from error
        self._remove(left)

    def _active(self, run: _Run, image: Image, facts: Facts, verification: Verification | None) -> Image:
        if rules.formats(image) != rules.formats(run.image):
            raise ImportFailed("disk_format or container_format was changed while the data was imported")
        after = rules.changed_alike(image, run.image, run.after)
        self._signatures.require_same(verification, after)
        return replace(
            after.moved_to(Status.ACTIVE),
            size=facts.size,
            virtual_size=facts.virtual_size,
            checksum=facts.checksum,
            os_hash_algo=facts.os_hash_algo,
            os_hash_value=facts.os_hash_value,
        )

    def _give_up(self, order: Order, task: Task, reason: str, failed: Sequence[str]) -> None:
        """End the task; an image that it still holds waits again, or stays as it was when it has data."""
        at = self._clock()

        def waiting(image: Image) -> Image:
            if not rules.is_imported_by(image, order.task_id):
                return image
            after = rules.imported(image, at, failed)
            return after.moved_to(Status.QUEUED) if image.status is Status.IMPORTING else after

        caller = Caller(project_id=task.owner, user_id=task.user_id, request_id=task.request_id)
        with self._changes.told(caller, "image.update", order.image_id) as change:
            left = change.commit(
                import_objects.ended(order.image_id, (), at),
                if_there(images.changed(order.image_id, waiting)),
                self._goes_on(order),
                self._ended(order, TaskStatus.FAILURE, message=reason),
            )
        self._remove(left)

    def _goes_on(self, order: Order) -> Step[Task]:
        """Raise ``TaskStatusConflict`` unless the task still goes on: another process may have ended it."""
        return tasks.moved(order.task_id, TaskStatus.PROCESSING, self._clock())

    def _ended(self, order: Order, status: TaskStatus, **more: Any) -> Step[Task]:
        kept_s = self._settings.task_time_to_live_h * 3600
        return tasks.moved(order.task_id, status, self._clock(), kept_s=kept_s, **more)

    def _remove(self, left: Iterable[Location]) -> None:
        for location in left:
            with suppress(HeadwaterError):  # it is noted, and swept
                self._scrubber.remove(location)
