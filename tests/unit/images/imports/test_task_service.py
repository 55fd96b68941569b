"""Who may use the Tasks API, and what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.image_catalogue import NOON
from headwater.errors import Forbidden, Invalid
from headwater.images.catalogue.lists import pages
from headwater.images.catalogue.lists.query import Direction
from headwater.images.catalogue.tasks import SORT_KEYS, TaskQuery, place
from headwater.images.task import TaskMarkerNotFound, TaskNotFound, TaskStatus
from unit.images.v1.v1_service import ADMIN, ANN, Service, service

GOOD = {"import_from": "http://good/x", "import_from_format": "qcow2", "image_properties": {"name": "x"}}


@pytest.fixture
def v1(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path) as made:
        yield made


def a_task(**changes: Any) -> dict[str, Any]:
    return {"type": "import", "input": {**GOOD, **changes}}


def test_tasks_are_for_admins(v1: Service) -> None:
    task = v1.tasks.create(ADMIN, a_task())
    for call in (
        lambda: v1.tasks.create(ANN, a_task()),
        lambda: v1.tasks.get(ANN, task.id),
        lambda: v1.tasks.page(ANN, TaskQuery()),
    ):
        with pytest.raises(Forbidden, match="tasks_api_access"):
            call()


def test_an_import_enters_its_image_with_the_formats_that_it_names(v1: Service) -> None:
    task = v1.tasks.create(ADMIN, a_task())
    assert task.image_id is not None
    image = v1.catalogue.get(task.image_id)
    assert (image.name, image.disk_format, image.container_format, image.owner) == ("x", "qcow2", "bare", "z")
    other = v1.tasks.create(ADMIN, a_task(image_properties={"disk_format": "raw", "container_format": "ovf"}))
    assert other.image_id is not None
    image = v1.catalogue.get(other.image_id)
    assert (image.disk_format, image.container_format) == ("raw", "ovf")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "Task 'type' is required"),
        ({"type": "import"}, "Task 'input' is required"),
        ({"type": "export", "input": {}}, "Invalid task type 'export'"),
        ({"type": ["import"], "input": {}}, "Invalid task type"),
        ({"type": "import", "input": []}, "must be an object"),
        ({"type": "import", "input": {}}, "does not contain 'import_from' field"),
        ({"type": "import", "input": {"import_from": "http://good/x"}}, "'import_from_format'"),
        (a_task(import_from=5), "must be a string"),
        (a_task(image_properties=[]), "must be an object"),
        (a_task(import_from="file:///etc/passwd"), "File based imports are not allowed"),
        (a_task(import_from="FILE:///etc/passwd"), "File based imports are not allowed"),
        (a_task(import_from="http://bad/x"), "URI for legacy import task does not pass filtering"),
        (a_task(image_properties={"disk_format": "floppy"}), "disk_format"),
        (a_task(image_properties={"name": 5}), "name"),
        (a_task(import_from_format="floppy"), "disk_format"),
    ],
)
def test_what_is_no_task_is_refused_and_nothing_is_entered(v1: Service, document: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        v1.tasks.create(ADMIN, document)
    assert (v1.tasks.page(ADMIN, TaskQuery()), v1.waiting()) == ([], [])


def test_a_task_shows_no_signature_of_its_url(v1: Service) -> None:
    task = v1.tasks.create(ADMIN, a_task(import_from="http://good/x?sig=secret#part"))
    assert v1.tasks.get(ADMIN, task.id).input == {**GOOD, "import_from": "http://good/x"}
    (job,) = v1.waiting()
    assert job.document["url"] == "http://good/x?sig=secret#part"


@pytest.mark.parametrize("kind", ["api_image_import", "location_import"])
def test_a_task_that_belongs_to_an_image_fails_and_says_so(v1: Service, kind: str) -> None:
    task = v1.tasks.create(ADMIN, {"type": kind, "input": {}})
    assert task.status is TaskStatus.PENDING
    over = v1.tasks.get(ADMIN, task.id)
    assert (over.status, kind in over.message) == (TaskStatus.FAILURE, True)
    assert over.expires_at == NOON + 3600 * 1_000_000


@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
@pytest.mark.parametrize("sort_key", SORT_KEYS)
def test_a_list_goes_on_though_its_marker_was_forgotten(v1: Service, sort_key: str, sort_dir: Direction) -> None:
    for number in range(6):
        v1.now += number % 3
        v1.tasks.create(ADMIN, {"type": "location_import", "input": {}} if number % 2 else a_task())
    query = TaskQuery(limit=9, sort_key=sort_key, sort_dir=sort_dir)
    whole = v1.tasks.page(ADMIN, query)
    places = [place(task, sort_key) for task in whole]
    assert places == sorted(places, reverse=sort_dir == "desc")
    for at, task in enumerate(whole):
        assert v1.tasks.page(ADMIN, replace(query, marker=task.id)) == whole[at + 1 :]
    v1.now += 10 * 3600 * 1_000_000
    v1.tasks.forget_expired()
    left = v1.tasks.page(ADMIN, query)
    assert len(left) == 3
    for at, task in enumerate(whole):
        following = replace(query, marker=task.id, after=place(task, sort_key))
        assert v1.tasks.page(ADMIN, following) == [each for each in whole[at + 1 :] if each in left]


@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
@pytest.mark.parametrize("sort_key", SORT_KEYS)
def test_a_page_ends_early_where_its_tasks_hold_many_bytes(
    v1: Service, monkeypatch: pytest.MonkeyPatch, sort_key: str, sort_dir: Direction
) -> None:
    monkeypatch.setattr(pages, "SLICE", 2)
    for number in range(7):
        v1.now += number % 3
        v1.tasks.create(ADMIN, {"type": "location_import", "input": {"x": "x" * 1000}} if number % 2 else a_task())
    query = TaskQuery(limit=9, sort_key=sort_key, sort_dir=sort_dir)
    whole = v1.tasks.page(ADMIN, query)
    assert (len({task.id for task in whole}), whole.is_cut) == (7, False)
    monkeypatch.setattr(pages, "BYTES", 1)
    for at, task in enumerate(whole[:-1]):
        page = v1.tasks.page(ADMIN, replace(query, marker=task.id))
        assert (page, page.is_cut) == ([whole[at + 1]], True)


def test_a_list_goes_on_after_a_task_that_it_may_show(v1: Service) -> None:
    made = []
    for _ in range(3):
        v1.now += 1
        made.append(v1.tasks.create(ADMIN, a_task()).id)
    page = v1.tasks.page(ADMIN, TaskQuery(limit=2))
    assert [task.id for task in page] == [made[2], made[1]]
    assert [task.id for task in v1.tasks.page(ADMIN, TaskQuery(limit=2, marker=made[1]))] == [made[0]]
    assert v1.tasks.page(ADMIN, TaskQuery(limit=0)) == []
    with pytest.raises(TaskMarkerNotFound):
        v1.tasks.page(ADMIN, TaskQuery(marker="no such task"))
    with pytest.raises(TaskNotFound):
        v1.tasks.get(ADMIN, "no such task")
