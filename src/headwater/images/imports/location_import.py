"""Take an image's data from a web server, where it stays: the locations API (2.17).

``begin`` lets the image turn ``importing`` and enters a task, for callers to look at, and a job that does the work; all
three in one transaction. The job asks how much there is, gives the image its location, and reads the data to
hash it:

* Without hashes from the caller the image is ``active`` at once, and gets its hashes when all is read.
* With them it is ``active`` when they turn out right. If not, the image waits again and the location is gone.
* Where ``do_secure_hash`` is off nothing is read, and what the caller says is believed.

What is read is inspected too and, where the image is signed, verified. What is refused fails the task, and the image
waits again, also when it was active: what was never found right nobody got from us whole (``locations/content.py``).

The job may run again at any point, on any replica: it begins with what the catalogue says now. While it reads, it
looks there every now and then, so a deleted image ends it wherever it runs.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from headwater.clock import Clock, now
from headwater.errors import Conflict, Forbidden, HeadwaterError, Invalid, TooLarge, Unavailable, UnsupportedMedia
from headwater.fetching.fetcher import Fetcher, RemoteFailed, RemoteTooLarge
from headwater.fetching.url_filter import UrlRefused, redacted
from headwater.identity.caller import Caller
from headwater.images.catalogue import images, locations, tasks
from headwater.images.catalogue.changes import Change, Changes
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.locations import LocationRows
from headwater.images.catalogue.rows import ImageNotFound, if_there
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.catalogue.transaction import Step
from headwater.images.imports.location_wanted import wanted
from headwater.images.imports.tries import Looking, ProcessesDied, Tries
from headwater.images.locations.content import Contents
from headwater.images.locations.rules import InvalidLocation, Validation
from headwater.images.locations.service import Web
from headwater.images.model import RIGHT, Held, Image, ImageLocation, Location, Status
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.claim import SignatureRefused
from headwater.images.task import Task, TaskNotFound, TaskStatus, TaskStatusConflict, new_task
from headwater.jobs.queue import Cancelled, Job
from headwater.jobs.runner import Later, TryAgain

_log = logging.getLogger(__name__)

KIND = "location_import"


class WebLocationsOnly(Forbidden):
    """Users add what lies on web servers, if that is served here."""

    def __init__(self) -> None:
        super().__init__("http store must be enabled to use location API by normal user.")


class ImageNotQueued(Conflict):
    """Only an image that waits for data can be given a location."""

    def __init__(self, image: Image) -> None:
        super().__init__(f"It's not allowed to add location if image status is {image.status.value}.")
        self.image_id, self.status = image.id, image.status


class ImportFailed(HeadwaterError):
    """The data cannot become the image's. The message is for the task."""


class ImageLost(HeadwaterError):
    """The image was deleted, or is somebody else's to change now."""

    def __init__(self) -> None:
        super().__init__("the image was deleted, or is not the one that waited, before its data was read")


class LocationImport:
    """The use case and its job; safe to use from several threads."""

    def __init__(
        self,
        changes: Changes,
        catalogue: ImageRows,
        rows: LocationRows,
        kept: TaskRows,
        *,
        web: Web,
        fetcher: Fetcher,
        settings: ImagesSettings,
        contents: Contents,
        stopping: Callable[[], bool],
        clock: Clock = now,
    ) -> None:
        """Prepare.

        Args:
            stopping: Whether this process is about to end; a job then goes to another one.
        """
        self._changes = changes
        self._catalogue = catalogue
        self._rows = rows
        self._tasks = kept
        self._web = web
        self._fetcher = fetcher
        self._settings = settings
        self._contents = contents
        self._stopping = stopping
        self._tries = Tries(settings.http_retries)
        self._clock = clock

    # --- The request -----------------------------------------------------------------------------

    def begin(self, caller: Caller, image_id: str, document: Mapping[str, Any]) -> Task:
        """Let the image get its data from a location, and return the task that tells how far that is.

        Raises:
            BadLocation, InvalidLocation: The location is none that could be taken.
            ImageNotFound, Forbidden: There is no such image for the caller, or it may not do this.
            WebLocationsOnly: Locations of this kind are not for users.
            ImageNotQueued, ImageBusy, FormatsMissing: The image does not wait for data.
        """
        asked = wanted(document)
        with self._changes.of(caller, "image.prepare", image_id, rule="add_image_location") as change:
            if not self._web.takes(asked.url) and "service" not in caller.roles | caller.service_roles:
                raise WebLocationsOnly
            _require_waiting(change.image)
            change.read_limits()
            self._web.location(asked.url)
            self._web.check(asked.url)
            at = self._clock()
            # Whoever sees the image sees its tasks, and a URL may hold a signature.
            told = {"image_id": image_id, "loc_url": redacted(asked.url), "validation_data": _told(asked.validation)}
            task = new_task(caller, KIND, told, now=at, image_id=image_id)

            def importing(image: Image) -> Image:
                _require_waiting(image)
                return replace(image.moved_to(Status.IMPORTING), updated_at=max(at, image.updated_at + 1))

            job = {
                "task_id": task.id,
                "image_id": image_id,
                "url": asked.url,
                "validation_data": _told(asked.validation),
            }
            change.commit(
                tasks.none_works_on(image_id),
                images.changed(image_id, importing),
                tasks.entered(task),
                tasks.job(KIND, job, at),
            )
            return task

    # --- The job ---------------------------------------------------------------------------------

    def run(self, job: Job) -> None:
        """Do the work; run by ``headwater/jobs``."""
        task_id, at = job.document["task_id"], self._clock()
        try:
            task = self._tasks.move(task_id, TaskStatus.PROCESSING, at)
        except (TaskNotFound, TaskStatusConflict):
            return  # ended already, by a run whose end could not be noted
        said = job.document["validation_data"]
        work = _Work(
            task=task,
            image_id=job.document["image_id"],
            at=self._web_location(job.document["url"]),
            validation=Validation(**said) if said else None,
            job=job,
        )
        try:
            self._attempt(work)
        except TaskStatusConflict:
            _log.info("a task was ended elsewhere", extra={"task": task_id})

    def _attempt(self, work: _Work) -> None:
        try:
            work.job.require_wanted()
            self._tries.begin(work.job.attempts)
            self._import(work)
        except (Later, TryAgain, TaskStatusConflict):
            raise
        except (UnsupportedMedia, SignatureRefused) as error:
            self._failed(work, str(error), refused=True)
        except (ImportFailed, ImageLost, Invalid, TooLarge, Cancelled, ProcessesDied) as error:
            self._failed(work, str(error))
        except Exception as error:
            self._tries.again(work.job.attempts, error)
            self._failed(work, "Headwater failed; the log has more")
            raise

    def _web_location(self, url: str) -> Location:
        try:
            return self._web.location(url)
        except InvalidLocation:  # the store was taken out of the settings since
            return Location("", url)

    def _import(self, work: _Work) -> None:
        image, has_location = self._present(work)
        reads = self._settings.do_secure_hash
        if has_location:  # this job was here before, and did not come to an end with hashing
            size = image.size or 0
        else:
            self._web.location(work.at.object_key)
            size = self._size(work)
            if not reads:
                self._activate(work, size, _told(work.validation), ends=True)
                return
            if work.validation is None:
                # Source: tempest looks for the algorithm as soon as the image is active.
                self._activate(work, size, {"os_hash_algo": self._settings.hash_algorithm}, ends=False)
        try:
            hashes = self._hashed(work, image, size)
        except ImportFailed as error:
            if work.validation:
                raise
            message = f"the image is active, and its data could not be hashed: {error}"
            self._finish(work, {"os_hash_algo": None}, message)
            return
        if work.validation is None:
            self._finish(work, hashes)
        elif hashes["os_hash_value"] == work.validation.os_hash_value:
            self._activate(work, size, hashes, ends=True)
        else:
            raise ImportFailed(
                f"the data at {redacted(work.at.object_key)} does not have the {work.validation.os_hash_algo} "
                "that validation_data says"
            )

    def _size(self, work: _Work) -> int:
        """Return how many bytes there are."""
        url = work.at.object_key
        size: int | None = self._asked(work, lambda: self._fetcher.size(url, look=self._looking(work)))
        if size is None:
            raise ImportFailed(f"{redacted(url)} does not say how large it is")
        if size > self._settings.size_cap:
            raise ImportFailed(f"{redacted(url)} holds more than {self._settings.size_cap} bytes, the most of an image")
        return size

    def _hashed(self, work: _Work, image: Image, size: int) -> dict[str, Any]:
        """Read all of the data, look at it as at that of an upload, and return what is known of it then.

        Raises:
            UnsupportedMedia, SignatureRefused: It is nothing that the image may be, or not what was signed.
        """
        try:
            inspecting = self._contents.look(work.caller, image)
        except Unavailable as error:
            self._tries.again(work.job.attempts, error)
            raise ImportFailed(str(error)) from error
        look = self._looking(work)
        algorithm = work.validation.os_hash_algo if work.validation else self._settings.hash_algorithm
        md5, os_hash = hashlib.md5(usedforsecurity=False), hashlib.new(algorithm, usedforsecurity=False)

        def read() -> int:
            count = 0
            with self._fetcher.open(work.at.object_key, look=look) as fetched:
                for piece in fetched:
                    md5.update(piece)
                    os_hash.update(piece)
                    inspecting.feed(piece)
                    count += len(piece)
                    look()
            return count

        count = self._asked(work, read)
        if count != size:
            raise ImportFailed(f"{redacted(work.at.object_key)} said it holds {size} bytes, and gave {count}")
        hashes = {"checksum": md5.hexdigest(), "os_hash_algo": algorithm, "os_hash_value": os_hash.hexdigest()}
        return {**hashes, "virtual_size": inspecting.finish().virtual_size}

    def _looking(self, work: _Work) -> Looking:
        return Looking(work.job, self._stopping, lambda: self._present(work))

    def _asked(self, work: _Work, ask: Callable[[], Any]) -> Any:
        """Ask the server; when it fails, later again, as ``Tries`` say."""
        try:
            return ask()
        except RemoteFailed as error:
            self._tries.again(work.job.attempts, error)
            raise ImportFailed(str(error)) from error
        except (RemoteTooLarge, UrlRefused) as error:
            raise ImportFailed(str(error)) from error

    # --- What the catalogue is told --------------------------------------------------------------

    def _activate(self, work: _Work, size: int, hashes: dict[str, Any], *, ends: bool) -> None:
        """Give the image its location, and what is known of its hashes; where nothing is left to do, end the task."""

        def active(image: Image, held: Held) -> tuple[Image, Held]:
            if image.status is not Status.IMPORTING:
                raise ImageLost
            image.require_formats()
            moved = image.moved_to(Status.ACTIVE)
            at = ImageLocation(at=work.at, verdict=RIGHT if "virtual_size" in hashes else None)
            return replace(moved, size=size, updated_at=self._later_than(image), **hashes), (*held, at)

        with self._changes.told(work.caller, "image.activate", work.image_id) as change:
            change.read_limits()
            self._commit(change, work, active, *([self._succeeded(work)] if ends else []))

    def _finish(self, work: _Work, hashes: dict[str, Any], message: str = "") -> None:
        """Say of the active image what its hashes are, and end the task."""

        def hashed(image: Image, held: Held) -> tuple[Image, Held]:
            if not work.is_at(held):
                raise ImageLost
            if image.os_hash_value not in (None, hashes.get("os_hash_value")):
                raise ImportFailed("the data does not have the hash that the image was given meanwhile")
            was_read = "virtual_size" in hashes
            judged = tuple(replace(each, verdict=RIGHT) if was_read and each.at == work.at else each for each in held)
            return replace(image, updated_at=self._later_than(image), **hashes), judged

        with self._changes.told(work.caller, "image.update", work.image_id) as change:
            self._commit(change, work, hashed, self._succeeded(work, message))

    def _failed(self, work: _Work, reason: str, *, refused: bool = False) -> None:
        """End the task; an image that it still holds waits again, without location and hashes.

        Args:
            refused: The data was read, and is nothing that the image may have. An image that is active already loses
                the location too: nobody got all of its data from us.
        """

        def waiting(image: Image, held: Held) -> tuple[Image, Held]:
            left = tuple(each for each in held if each.at != work.at)
            if image.status is Status.IMPORTING or (refused and image.status is Status.ACTIVE and held and not left):
                return replace(image.without_data(), updated_at=self._later_than(image)), ()
            if not refused and image.status is Status.ACTIVE and left != held and image.os_hash_value is None:
                return replace(image, os_hash_algo=None, updated_at=self._later_than(image)), held  # it gets no hash
            if not refused or left == held:
                return image, held
            if left:
                return replace(image, updated_at=self._later_than(image)), left
            return image, tuple(replace(each, verdict=reason[:1000]) for each in held)

        give_back = if_there(locations.changed(work.image_id, waiting, self._clock()))
        with self._changes.told(work.caller, "image.update", work.image_id) as change:
            change.commit(give_back, self._goes_on(work), self._ended(work, TaskStatus.FAILURE, message=reason))
        _log.info("a location was not imported", extra={"image": work.image_id, "task": work.task.id, "reason": reason})

    def _commit(
        self, change: Change, work: _Work, to: Callable[[Image, Held], tuple[Image, Held]], *more: Step[Any]
    ) -> None:
        """Change the image, if the task still goes on; raise ``ImageLost`` when there is no such image."""
        try:
            at = self._clock()
            wanted = tasks.still_wanted(work.job.id)
            change.commit(locations.changed(work.image_id, to, at), self._goes_on(work), wanted, *more)
        except ImageNotFound as error:
            raise ImageLost from error

    def _goes_on(self, work: _Work) -> Step[Task]:
        """Raise ``TaskStatusConflict`` unless the task still goes on.

        A process that stood still for longer than its lease finds that another one has ended the task, and that
        the image may be importing something else by now.
        """
        return tasks.moved(work.task.id, TaskStatus.PROCESSING, self._clock())

    def _succeeded(self, work: _Work, message: str = "") -> Step[Task]:
        return self._ended(work, TaskStatus.SUCCESS, result={"image_id": work.image_id}, message=message)

    def _ended(self, work: _Work, status: TaskStatus, **more: Any) -> Step[Task]:
        kept_s = self._settings.task_time_to_live_h * 3600
        return tasks.moved(work.task.id, status, self._clock(), kept_s=kept_s, **more)

    def _present(self, work: _Work) -> tuple[Image, bool]:
        """Return the image, and whether it has the location already; raise ``ImageLost`` when it is not to be had."""
        try:
            image = self._catalogue.get(work.image_id)
        except ImageNotFound as error:
            raise ImageLost from error
        has = work.is_at(self._rows.of(work.image_id))
        if not has and image.status is not Status.IMPORTING:
            raise ImageLost
        return image, has

    def _later_than(self, image: Image) -> int:
        return max(self._clock(), image.updated_at + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One run of one job."""

    task: Task
    image_id: str
    at: Location
    validation: Validation | None
    job: Job

    def is_at(self, held: Held) -> bool:
        """Return whether the location is one of these."""
        return any(each.at == self.at for each in held)

    @property
    def caller(self) -> Caller:
        return Caller(project_id=self.task.owner, user_id=self.task.user_id, request_id=self.task.request_id)


def _require_waiting(image: Image) -> None:
    if image.status is not Status.QUEUED:
        raise ImageNotQueued(image)
    image.require_formats()


def _told(validation: Validation | None) -> dict[str, Any]:
    if validation is None:
        return {}
    return {"os_hash_algo": validation.os_hash_algo, "os_hash_value": validation.os_hash_value}
