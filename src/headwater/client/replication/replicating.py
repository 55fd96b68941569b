"""All images from one service to another: several at once, one's failure no hindrance to the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from headwater.client.replication.choice import Choice
from headwater.client.replication.copying import Copying
from headwater.client.replication.metadata import MARK, changes, mark_of, marking, named
from headwater.client.replication.plan import Action, Outcome, Step, compared, deletions, is_uuid, refused
from headwater.client.replication.reading import Reading
from headwater.client.service import Document, ImageService, Patience, RequestRefused, Unreachable
from headwater.client.uploading import Notebook
from headwater.errors import HeadwaterError

A = TypeVar("A")
B = TypeVar("B")


class Stopped(HeadwaterError):
    """The command was interrupted."""

    def __init__(self) -> None:
        super().__init__("interrupted: the next run goes on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be done besides copying what is missing."""

    updates_metadata: bool = False
    deletes: bool = False
    with_members: bool = False
    keeps_owner: bool = False
    parallel: int = 4
    patience_s: float = 600


class Replicating:
    """One run between two services."""

    def __init__(
        self,
        source: ImageService,
        target: ImageService,
        choice: Choice,
        wanted: Wanted,
        notebooks: Path,
        *,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take the two services; ``told`` is as in ``Patience``, and called by several threads."""
        self._told = told
        self._source, self._target = source, target
        self._choice, self._wanted, self._notebooks = choice, wanted, notebooks
        self._mark = mark_of(source.url)
        self._stop = threading.Event()
        self._is_away = False  # a service has used up somebody's patience: the others need not spend theirs
        self._done: dict[str, int] = {}  # bytes, by image

    # --- The plan ------------------------------------------------------------------------------------

    def plan(self) -> list[Step]:
        """Return what is to do; nothing is changed.

        Raises:
            RequestRefused, Unreachable: A service does not show its images.
        """
        steps = self._each(self._step, self._choice.of(self._source))
        found = {each.image["id"] for each in steps}
        steps += [
            Step({"id": each}, Action.NONE, Outcome.FAILED, error="the source has no such image")
            for each in self._choice.ids
            if each not in found and not self._source.get(each)
        ]
        missing = deletions(self._source, self._target, self._choice, self._mark, deletes=self._wanted.deletes)
        gone = list(missing)
        lost = {each.image["id"] for each in gone}
        return [each for each in steps if each.image["id"] not in lost] + gone

    def _step(self, image: Document) -> Step:
        step = Step(image, Action.COPY)
        if not is_uuid(image["id"]):
            return refused(step, "its id is none that an image may have")
        if image["status"] != "active":
            step.action, step.outcome = Action.NONE, Outcome.SKIPPED
            step.notes.append(f"it is {image['status']} at the source")
            return step
        try:
            found = self._patience().answered(lambda: self._target.get(image["id"]))
        except HeadwaterError as error:
            return self._failed(step, error)
        if found is None:
            return step
        if self._copying(image).owns(found):
            step.action, step.found = Action.RESUME, found
            return step
        return compared(image, found, updates=self._wanted.updates_metadata)

    # --- The work ------------------------------------------------------------------------------------

    def perform(self, steps: Iterable[Step], shown: Callable[[int], None]) -> None:
        """Do what is planned; each step says afterwards what has become of it.

        Args:
            shown: Is told how many bytes of all are copied.
        """
        self._each(lambda step: self._perform(step, shown), [each for each in steps if each.outcome == Outcome.PLANNED])

    def _perform(self, step: Step, shown: Callable[[int], None]) -> None:
        try:
            if step.action == Action.DELETE:
                self._target.delete(step.image["id"])
            elif step.action == Action.UPDATE:
                assert step.found is not None
                step.notes.clear()
                self._settle(step, step.found)
            else:
                self._copy(step, shown)
            step.outcome, self._is_away = Outcome.DONE, False
        except HeadwaterError as error:
            self._failed(step, error)

    def _copy(self, step: Step, shown: Callable[[int], None]) -> None:
        image = step.image

        def count(done: int) -> None:
            self._done[image["id"]] = done
            shown(sum(list(self._done.values())))

        copying = self._copying(image, count)
        if step.found is None:
            copying.create(self._mark, keep_owner=self._wanted.keeps_owner)
        made, step.verified_by = copying.complete(step.found)
        if step.verified_by is None:
            step.notes.append("the source tells no digest: only the size was compared")
        self._settle(step, made)
        self._notebook(image).forget()

    def _settle(self, step: Step, found: Document) -> None:
        """Make what is known of the copy what is known of the image; what is refused is noted."""
        operations = changes(step.image, found)
        if step.action != Action.UPDATE and found.get(MARK) != self._mark:
            operations.insert(0, marking(self._mark))
        path_of = f"/v2/images/{step.image['id']}"
        if operations:
            try:
                self._patience().answered(lambda: self._target.change(step.image["id"], operations))
            except RequestRefused:
                for each in operations:  # all or nothing was nothing: as much as is let
                    self._try(
                        step,
                        named([each])[0],
                        lambda one=each: self._target.change(step.image["id"], [one]),  # type: ignore[misc]
                    )
        if self._wanted.with_members and step.image.get("visibility") == "shared":
            self._share(step, f"{path_of}/members")

    def _share(self, step: Step, path: str) -> None:
        wanted = self._patience().answered(lambda: self._source.ask("GET", path))["members"]
        found = {each["member_id"]: each for each in self._target.ask("GET", path)["members"]}
        for each in wanted:
            member, status = each["member_id"], each["status"]
            if member not in found:
                self._try(
                    step,
                    f"member {member}",
                    lambda who=member: self._target.ask("POST", path, {"member": who}),  # type: ignore[misc]
                )
            if status not in ("pending", found.get(member, {}).get("status")):
                self._try(
                    step,
                    f"status of member {member}",
                    lambda who=member, what=status: self._target.ask("PUT", f"{path}/{who}", {"status": what}),  # type: ignore[misc]
                )

    def _try(self, step: Step, what: str, change: Callable[[], Document]) -> None:
        try:
            self._patience().answered(change)
        except RequestRefused as error:
            step.notes.append(f"{what} was not set: {error}")

    # --- Around it -----------------------------------------------------------------------------------

    def _each(self, work: Callable[[A], B], over: Iterable[A]) -> list[B]:
        pool = ThreadPoolExecutor(self._wanted.parallel, thread_name_prefix="replicate")
        try:
            return list(pool.map(work, over))
        except BaseException:  # an interruption as well: the threads are told, and end at their next piece
            self._stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _patience(self) -> Patience:
        return Patience(0 if self._is_away else self._wanted.patience_s, told=self._told, sleep=self._pause)

    def _pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _failed(self, step: Step, error: HeadwaterError) -> Step:
        self._is_away = self._is_away or isinstance(error, Unreachable)
        return refused(step, str(error))

    def _notebook(self, image: Document) -> Notebook:
        return Notebook(self._notebooks, self._target.url, None, [self._source.url, image["id"]])

    def _copying(self, image: Document, shown: Callable[[int], None] = lambda _: None) -> Copying:
        def heard(done: int) -> None:
            if self._stop.is_set():
                raise Stopped
            shown(done)

        reading = Reading(self._source, image, self._patience())
        return Copying(self._target, image, reading, self._notebook(image), self._patience(), shown=heard)
