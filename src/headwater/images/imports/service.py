"""Begin an import: ``POST /v2/images/{id}/import``, and end one that goes on: ``DELETE /v2/images/{id}/tasks/{task}``.

What an import does goes on after the answer, and so does its end; see ``runs/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from headwater.clock import Clock, now
from headwater.errors import Invalid
from headwater.fetching.fetcher import Fetcher
from headwater.fetching.url_filter import UrlRefused, redacted
from headwater.identity.caller import Caller
from headwater.images.catalogue import images, tasks
from headwater.images.catalogue.changes import Change, Changes
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.transaction import Step
from headwater.images.imports import rules
from headwater.images.imports.regions.remote_image import RemoteImages
from headwater.images.imports.runs.job import KIND
from headwater.images.imports.runs.run import asked_by
from headwater.images.locations.known_stores import StoreFault
from headwater.images.model import Image
from headwater.images.settings import ImagesSettings
from headwater.images.task import Task, new_task
from headwater.stores.store import ObjectStore, StoreRefusesWrites

TASK_TYPE = "api_image_import"


class ImportUrlRefused(Invalid):
    """The URL of an import is not fetched."""

    def __init__(self, url: str | None, reason: str) -> None:
        shown = None if url is None else redacted(url)
        super().__init__(f"URI for web-download does not pass filtering: {shown} ({reason})")


class Imports:
    """The use case; safe to use from several threads."""

    def __init__(
        self,
        changes: Changes,
        catalogue: ImageRows,
        stores: Mapping[str, ObjectStore],
        fetcher: Fetcher,
        settings: ImagesSettings,
        *,
        remote_images: RemoteImages,
        store_faults: Callable[[], Mapping[str, StoreFault]] = dict,
        clock: Clock = now,
    ) -> None:
        """Take what imports begin with.

        Args:
            store_faults: Returns what is wrong with stores now.
        """
        self._changes = changes
        self._remote_images = remote_images
        self._catalogue = catalogue
        self._fetcher = fetcher
        self._clock = clock
        self.methods: tuple[str, ...] = settings.import_methods
        writable = tuple(name for name, store in stores.items() if store.abilities.writes)
        self._stores = rules.Stores(tuple(stores), writable, settings.store or writable[0])
        self._staging_store = settings.staging_store or self._stores.default
        self._store_faults = store_faults

    def begin(
        self, caller: Caller, image_id: str, document: Mapping[str, Any], store: str | None = None
    ) -> Task | None:
        """Begin what the body of a request asks for, and return the task that tells of it; ``None``: all is done.

        Args:
            store: The one store that its header names.

        Raises:
            BadImport, UnknownMethod, ImportUrlRefused, AlreadyThere: It cannot be begun, whatever the image.
            ImageNotFound, Forbidden: There is no such image for the caller, or it may not do this.
            NotImportable, FormatUnset, StoreNotFound, StoreTakesNothing, ImageBusy: Not of this image, or not now.
            StoreRefusesWrites: A store that has to take the data takes none at the moment.
            ProjectOverLimit: Its owner may not have another image on its way.
        """
        asked = rules.asked_in(document, store, self.methods)
        copies = asked.method == rules.COPY
        rule, action = ("copy_image", "image.copy") if copies else ("modify_image", "image.import")
        with self._changes.of(caller, action, image_id, rule=rule) as change:
            rules.require_importable(asked, change.image)
            stores = self._stores.meant(asked)
            if copies:
                stores = self._missing(change.image, stores, drops=asked.all_stores)
                if not stores:
                    return None
            if asked.method == rules.WEB:
                self._require_url(asked.url)
            self._require_taking(asked, stores)
            change.read_limits()
            return self._begun(change, caller, document, asked, stores)

    def again(self, order: rules.Order, failed: Task) -> None:
        """Begin an import once more that has failed, under a task of its own; an operator wants it.

        Raises:
            ImageNotFound: The image was deleted.
            NotImportable, FormatUnset, ImageBusy: It does not wait for this import any more.
            ProjectOverLimit: Its owner may not have another image on its way.
        """
        caller, at = asked_by(failed), self._clock()
        task = new_task(caller, TASK_TYPE, failed.input, now=at, image_id=order.image_id)
        asked, stores = rules.Asked(method=order.method), order.stores
        if order.method == rules.COPY:
            stores = self._missing(self._catalogue.get(order.image_id), stores, drops=True)
            if not stores:
                return

        def importing(image: Image) -> Image:
            rules.require_importable(asked, image)
            return rules.importing(image, task.id, stores, at)

        with self._changes.told(caller, "image.import", order.image_id) as change:
            change.read_limits()
            change.commit(
                tasks.none_works_on(order.image_id),
                images.changed(order.image_id, importing),
                tasks.entered(task),
                tasks.job(KIND, asdict(replace(order, task_id=task.id, stores=stores)), at),
            )

    def cancel(self, caller: Caller, image_id: str, task_id: str) -> None:
        """Let a task that works on an image end; it fails, and leaves the image as after any other failure.

        Raises:
            ImageNotFound, Forbidden: There is no such image for the caller, or it may not do this.
            TaskNotFound, TaskOver: The image has no such task, or that has ended.
        """
        by = f"user {caller.user_id}" if caller.user_id is not None else "a caller"
        with self._changes.of(caller, "image.cancel_task", image_id, rule="cancel_image_task") as change:
            change.commit(tasks.cancelled(change.image.id, task_id, by[:255], self._clock()))

    def _begun(
        self, change: Change, caller: Caller, document: Mapping[str, Any], asked: rules.Asked, stores: tuple[str, ...]
    ) -> Task:
        task, importing, steps = self._entered(caller, change.image.id, document, asked, stores)
        change.commit(tasks.none_works_on(change.image.id), images.changed(change.image.id, importing), *steps)
        return task

    def of_upload(self, caller: Caller, image_id: str) -> tuple[Callable[[Image], Image], list[Step[Any]]]:
        """Return what imports an upload in the transaction that stages it: the image's change, and more steps."""
        asked = rules.Asked(method=rules.DIRECT)
        document = {"method": {"name": rules.DIRECT}}
        stores = self._stores.meant(asked)
        _, importing, steps = self._entered(caller, image_id, document, asked, stores, keeps_staged=False)
        return importing, [tasks.none_works_on(image_id), *steps]

    def _entered(
        self,
        caller: Caller,
        image_id: str,
        document: Mapping[str, Any],
        asked: rules.Asked,
        stores: tuple[str, ...],
        *,
        keeps_staged: bool = True,
    ) -> tuple[Task, Callable[[Image], Image], list[Step[Any]]]:
        at = self._clock()
        told = {"image_id": image_id, "import_req": rules.told(document), "backend": list(stores)}
        task = new_task(caller, TASK_TYPE, told, now=at, image_id=image_id)
        elsewhere = asked.elsewhere
        order = rules.Order(
            task_id=task.id,
            image_id=image_id,
            method=asked.method,
            stores=stores,
            all_must_succeed=asked.all_must_succeed,
            url=asked.url if asked.method == rules.WEB else None,
            validation=asked.validation,
            elsewhere=self._remote_images.with_token(elsewhere, caller, task.id) if elsewhere else None,
            roles=tuple(sorted(caller.roles)),
            keeps_staged=keeps_staged and asked.method == rules.DIRECT,
        )

        def importing(image: Image) -> Image:
            rules.require_importable(asked, image)
            return rules.importing(image, task.id, stores, at)

        return task, importing, [tasks.entered(task), tasks.job(KIND, asdict(order), at)]

    def _missing(self, image: Image, stores: tuple[str, ...], *, drops: bool) -> tuple[str, ...]:
        """Return the stores in which the image does not lie.

        Args:
            drops: Leave out the others; else they are refused.

        Raises:
            AlreadyThere: It lies in one of them.
        """
        has = {location.store for location in self._catalogue.locations(image.id) if not location.is_external}
        there = [name for name in stores if name in has]
        if there and not drops:
            raise rules.AlreadyThere(there[0])
        return tuple(name for name in stores if name not in has)

    def _require_taking(self, asked: rules.Asked, stores: tuple[str, ...]) -> None:
        """Raise ``StoreRefusesWrites`` where it is known now that no import to these stores can succeed."""
        moves_none = {self._staging_store} if asked.method == rules.DIRECT else set()  # what is staged lies there
        faults = {name: fault for name, fault in self._store_faults().items() if fault.only_of_writes}
        taking = [name for name in stores if name in self._stores.writable]  # one of them at least, by ``meant``
        full = [name for name in taking if name in faults and name not in moves_none]
        if full and (asked.all_must_succeed or len(full) == len(taking)):
            raise StoreRefusesWrites(full[0], is_full=faults[full[0]].is_full)

    def _require_url(self, url: str | None) -> None:
        try:
            if url is None:
                raise ImportUrlRefused(None, "there is none")
            self._fetcher.check(url)
        except UrlRefused as error:
            raise ImportUrlRefused(url, error.reason) from error
