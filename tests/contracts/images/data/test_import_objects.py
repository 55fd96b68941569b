"""The objects of imports on every database: whose they are, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contracts.image_catalogue import NOON, add, an_image
from contracts.unheard import UnheardImages, UnheardLocations, UnheardUploads, commit
from headwater.database.engine import Database
from headwater.identity.caller import Caller
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.imports import import_objects
from headwater.images.catalogue.imports.import_objects import ImportObjectRows, StagedObject
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.catalogue.upload_records import ImageGone, Upload, UploadLost
from headwater.images.catalogue.usage import ProjectUsage, Used
from headwater.images.model import Image, Location, Status
from headwater.images.task import Task, TaskStatus, TaskStatusConflict, new_task

STAGED, A, B = Location("fast", "i.staged"), Location("fast", "i.a"), Location("cheap", "i.b")
FACTS: dict[str, Any] = {"size": 5, "checksum": "ä"}


@pytest.fixture
def image(database: Database) -> Image:
    image = an_image(owner="p")
    add(UnheardImages(database), image)
    return image


@pytest.fixture
def task(database: Database, image: Image) -> Task:
    tasks = TaskRows(database)
    task = new_task(Caller(project_id="p"), "api_image_import", {}, now=NOON, image_id=image.id)
    tasks.add(task)
    return tasks.move(task.id, TaskStatus.PROCESSING, NOON)


def begun(database: Database, image: Image, task: Task, *targets: Location, size: int | None = 5) -> list[Location]:
    return commit(database, import_objects.begun(image.id, task.id, targets, size, NOON))


def discarded(database: Database) -> set[Location]:
    return set(DiscardedObjectRows(database).oldest(10))


def coming(database: Database) -> int:
    return ProjectUsage(database).of("p")["image_size_total"]


def no_limit(_used: Used) -> None:
    """Let there be any amount."""


def stage(database: Database, image: Image) -> None:
    uploading = replace(image, status=Status.UPLOADING)
    UnheardUploads(database).begin_upload(Upload(image.id, STAGED, "here", NOON), lambda _image: uploading)
    found = StagedObject(STAGED, 5, FACTS)
    commit(database, import_objects.staged(image.id, found, lambda image: replace(image, size=5)))


def test_what_is_staged_is_found_and_counts(database: Database, image: Image) -> None:
    objects = ImportObjectRows(database)
    assert objects.staged(image.id) is None
    stage(database, image)
    assert objects.staged(image.id) == StagedObject(STAGED, 5, FACTS)
    assert UnheardUploads(database).uploads() == []
    used = ProjectUsage(database).of("p")
    assert (used["image_stage_total"], used["image_size_total"], used["image_count_uploading"]) == (5, 0, 1)


def test_an_upload_that_was_given_up_is_not_staged(database: Database, image: Image) -> None:
    found = StagedObject(STAGED, 5, FACTS)
    with pytest.raises(UploadLost):
        commit(database, import_objects.staged(image.id, found, lambda image: image))
    UnheardImages(database).delete(image.id, lambda _image: None, NOON)
    with pytest.raises(ImageGone):
        commit(database, import_objects.staged(image.id, found, lambda image: image))
    assert ImportObjectRows(database).staged(image.id) is None


def test_a_run_discards_what_the_run_before_it_left(database: Database, image: Image, task: Task) -> None:
    stage(database, image)
    assert begun(database, image, task, A) == []
    assert coming(database) == 5
    assert begun(database, image, task, B) == [A]
    assert discarded(database) == {A}
    assert ImportObjectRows(database).staged(image.id) is not None
    with pytest.raises(UploadLost):
        ImportObjectRows(database).advanced(image.id, task.id, [A], 3, 5, require_room=no_limit)
    with pytest.raises(UploadLost):
        commit(database, import_objects.ended(image.id, [A], NOON))


def test_progress_is_told_as_often_as_it_is_the_same(database: Database, image: Image, task: Task) -> None:
    objects, tasks = ImportObjectRows(database), TaskRows(database)
    begun(database, image, task, A, B, size=None)
    assert coming(database) == 0
    for _ in range(2):
        objects.advanced(image.id, task.id, [A, B], 3, None, require_room=no_limit)
    assert coming(database) == 6
    objects.advanced(image.id, task.id, [A], 3, 10, require_room=no_limit)
    shown = tasks.get(task.id)
    assert (shown.bytes_done, shown.bytes_total, coming(database)) == (3, 10, 13)
    tasks.move(task.id, TaskStatus.FAILURE, NOON, message="enough")
    with pytest.raises(TaskStatusConflict):
        objects.advanced(image.id, task.id, [A], 4, 10, require_room=no_limit)
    assert tasks.get(task.id).bytes_done == 3


def test_room_is_asked_for_in_the_transaction(database: Database, image: Image, task: Task) -> None:
    begun(database, image, task, A, size=1)

    def refuse(used: Used) -> None:
        assert used.of("p", "image_size_total", 100) == 7
        raise UploadLost("too much")

    with pytest.raises(UploadLost, match="too much"):
        ImportObjectRows(database).advanced(image.id, task.id, [A], 7, None, require_room=refuse)
    assert coming(database) == 1


def test_at_the_end_the_image_has_what_it_is_given_and_the_rest_goes(
    database: Database, image: Image, task: Task
) -> None:
    stage(database, image)
    begun(database, image, task, A, B)
    assert commit(database, import_objects.ended(image.id, [A], NOON)) in ([B, STAGED], [STAGED, B])
    assert discarded(database) == {B, STAGED}
    assert (ImportObjectRows(database).staged(image.id), coming(database)) == (None, 0)
    assert UnheardLocations(database).of(image.id) == ()  # which is for others to give


SAID = {"validator": '"ä"', "size": 5, "run": "one"}


def test_what_a_run_has_begun_is_another_runs_once_that_takes_it_over(
    database: Database, image: Image, task: Task
) -> None:
    objects = ImportObjectRows(database)
    assert objects.taken_over(image.id, task.id, "two") is None
    commit(database, import_objects.begun(image.id, task.id, [A], 5, NOON, said=SAID))
    objects.advanced(image.id, task.id, [A], 3, 5, said=SAID, require_room=no_limit)
    found = objects.taken_over(image.id, task.id, "two")
    assert found == StagedObject(A, 5, {**SAID, "run": "two"})
    with pytest.raises(UploadLost):
        objects.advanced(image.id, task.id, [A], 4, 5, said=SAID, require_room=no_limit)
    with pytest.raises(UploadLost):
        commit(database, import_objects.held(image.id, A, SAID))
    with pytest.raises(UploadLost):
        commit(database, import_objects.ended(image.id, [A], NOON, said=SAID))
    objects.advanced(image.id, task.id, [A], 4, 5, said=found.facts, require_room=no_limit)
    assert commit(database, import_objects.held(image.id, A, found.facts)) == []
    assert (coming(database), discarded(database)) == (5, set())
    assert commit(database, import_objects.ended(image.id, [A], NOON, said=found.facts)) == []


@pytest.mark.parametrize("said", [{}, SAID], ids=["nothing", "something"])
def test_several_objects_and_those_of_which_nothing_is_said_are_not_taken_over(
    database: Database, image: Image, task: Task, said: dict[str, Any]
) -> None:
    targets = [A, B] if said else [A]
    commit(database, import_objects.begun(image.id, task.id, targets, 5, NOON, said=said))
    assert ImportObjectRows(database).taken_over(image.id, task.id, "two") is None
    commit(database, import_objects.ended(image.id, targets, NOON, said=said))


def test_a_deletion_takes_all_along(database: Database, image: Image, task: Task) -> None:
    stage(database, image)
    begun(database, image, task, A)
    left = UnheardImages(database).delete(image.id, lambda _image: None, NOON)
    assert set(left) == {A, STAGED} == discarded(database)
    with pytest.raises(UploadLost):
        commit(database, import_objects.ended(image.id, [A], NOON))
