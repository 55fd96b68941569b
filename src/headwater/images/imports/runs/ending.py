"""What the catalogue is told of an import: what it writes, how far it is, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from headwater.clock import Clock
from headwater.errors import HeadwaterError
from headwater.images.catalogue import images, locations, tasks
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.imports import import_objects
from headwater.images.catalogue.imports.import_objects import ImportObjectRows
from headwater.images.catalogue.rows import if_there
from headwater.images.catalogue.transaction import Step
from headwater.images.catalogue.usage import Used
from headwater.images.data.scrubber import Scrubber
from headwater.images.imports import rules
from headwater.images.imports.checking import Facts
from headwater.images.imports.rules import Order
from headwater.images.imports.runs.run import ImageLost, ImportFailed, Run, asked_by
from headwater.images.imports.writing import Target
from headwater.images.model import Held, Image, ImageLocation, Location, Status
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.verification import Signatures, Verification
from headwater.images.task import Task, TaskStatus
from headwater.jobs.queue import Job


class Ending:
    """What runs tell; safe to use from several threads."""

    def __init__(
        self,
        changes: Changes,
        catalogue: ImageRows,
        objects: ImportObjectRows,
        scrubber: Scrubber,
        *,
        settings: ImagesSettings,
        signatures: Signatures,
        clock: Clock,
    ) -> None:
        self._changes = changes
        self._catalogue = catalogue
        self._objects = objects
        self._scrubber = scrubber
        self._settings = settings
        self._signatures = signatures
        self._clock = clock

    def present(self, order: Order) -> Image:
        """Return the image that an order is about; raise ``ImageNotFound`` or ``ImageLost`` when there is none."""
        image = self._catalogue.get(order.image_id)
        self._require_ours(order, image)
        return image

    def _require_ours(self, order: Order, image: Image) -> None:
        status = {Status.ACTIVE, Status.DEACTIVATED} if order.method == rules.COPY else {Status.IMPORTING}
        if image.status not in status or not rules.is_imported_by(image, order.task_id):
            raise ImageLost

    def tell(self, run: Run, done: int, total: int | None, targets: Iterable[Target]) -> None:
        """Say how many bytes have come, of how many, and that each target takes as many."""
        room, owner = self._changes.room(), run.image.owner

        def require_room(used: Used) -> None:
            if room is not None:
                room.require(used, owner, "image_size_total")

        going = [each.location for each in targets if each.error is None]
        order = run.order
        self._objects.advanced(
            order.image_id, order.task_id, going, done, total, said=run.said, require_room=require_room
        )

    def note(self, run: Run, targets: Sequence[Target], size: int | None, *, goes_on: bool = False) -> None:
        """Say where the run will write.

        Args:
            goes_on: It has taken over the one target, which a run before it has noted.
        """
        order = run.order
        places = [each.location for each in targets]
        if goes_on:
            begun = import_objects.held(order.image_id, places[0], run.said)
        else:
            begun = import_objects.begun(order.image_id, order.task_id, places, size, self._clock(), said=run.said)
        with self._changes.told(run.caller, "image.update", order.image_id, if_moved=True) as change:
            change.read_limits()
            left = change.commit(begun, *self._goes_on(run.job, order))
        self._remove(left)

    def finish(self, run: Run, facts: Facts, given: Sequence[Location], verification: Verification | None) -> None:
        """Give what is durable to the image, and end the task."""
        order, at = run.order, self._clock()
        copies = order.method == rules.COPY

        def moved(image: Image, held: Held) -> tuple[Image, Held]:
            self._require_ours(order, image)
            after = rules.imported(image, at, tuple(run.failed))
            if not copies:
                after = self._active(run, after, facts, verification)
            elif (image.os_hash_value, image.size) != (facts.os_hash_value, facts.size):
                raise ImportFailed("the image's data is another than the one that was copied")
            return after, (*held, *(ImageLocation(at=each) for each in given))

        action = "image.update" if copies else "image.upload"
        with self._changes.told(run.caller, action, order.image_id) as change:
            change.read_limits()
            left = change.commit(
                import_objects.ended(order.image_id, given, at, said=run.said),
                locations.changed(order.image_id, moved, at),
                *self._goes_on(run.job, order),
                self._ended(
                    order,
                    TaskStatus.SUCCESS,
                    result={"image_id": order.image_id},
                    message="; ".join(run.failed.values()),
                ),
            )
        self._remove(left)

    def _active(self, run: Run, image: Image, facts: Facts, verification: Verification | None) -> Image:
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

    def give_up(
        self, order: Order, task: Task, reason: str, failed: Iterable[str], *, keeps_staged: bool = False
    ) -> None:
        """End the task; an image that it still holds waits again, or stays as it was when it has data.

        Args:
            keeps_staged: What is staged for the image stays, and it waits for another import.
        """
        at = self._clock()

        def waiting(image: Image) -> Image:
            if not rules.is_imported_by(image, order.task_id):
                return image
            after = rules.imported(image, at, tuple(failed))
            if image.status is not Status.IMPORTING:
                return after
            return after.still_staged() if keeps_staged else after.moved_to(Status.QUEUED)

        if keeps_staged:
            ended = import_objects.failed(order.image_id, order.task_id, at)
        else:
            ended = import_objects.ended(order.image_id, (), at)
        with self._changes.told(asked_by(task), "image.update", order.image_id) as change:
            left = change.commit(
                ended,
                if_there(images.changed(order.image_id, waiting)),
                self._is_ours(order),
                self._ended(order, TaskStatus.FAILURE, message=reason),
            )
        self._remove(left)

    def _goes_on(self, job: Job, order: Order) -> tuple[Step[Task], Step[None]]:
        """Raise unless the task still goes on, and nobody wants it to end."""
        return self._is_ours(order), tasks.still_wanted(job.id)

    def _is_ours(self, order: Order) -> Step[Task]:
        """Raise ``TaskStatusConflict`` unless the task still goes on: another process may have ended it."""
        return tasks.moved(order.task_id, TaskStatus.PROCESSING, self._clock())

    def _ended(self, order: Order, status: TaskStatus, **more: Any) -> Step[Task]:
        kept_s = self._settings.task_time_to_live_h * 3600
        return tasks.moved(order.task_id, status, self._clock(), kept_s=kept_s, **more)

    def _remove(self, left: Iterable[Location]) -> None:
        for location in left:
            with suppress(HeadwaterError):  # it is noted, and swept
                self._scrubber.remove(location)
