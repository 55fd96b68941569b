"""Tasks on every database."""

from __future__ import annotations

import pytest

from contracts.image_catalogue import add, an_image
from contracts.unheard import UnheardImages, commit
from headwater.database.engine import Database
from headwater.identity.caller import Caller
from headwater.images.catalogue import tasks
from headwater.images.catalogue.tasks import TaskQuery, TaskRows
from headwater.images.task import (
    KEPT_S,
    ImageBusy,
    Task,
    TaskMarkerNotFound,
    TaskNotFound,
    TaskStatus,
    TaskStatusConflict,
    new_task,
)

NOON = 1_700_000_000_000_000


def added(database: Database, number: int, **values: str) -> Task:
    caller = Caller(project_id=values.pop("owner", "p1"), user_id="u1", request_id="req-1")
    kind = values.pop("type", "location_import")
    task = new_task(caller, kind, {"n": [number]}, now=NOON + number, **values)
    TaskRows(database).add(task)
    return task


def test_a_task_comes_back_as_it_was_kept(database: Database) -> None:
    task = added(database, 1, image_id="i1")
    assert TaskRows(database).get(task.id) == task
    assert (task.owner, task.user_id, task.request_id, task.status) == ("p1", "u1", "req-1", TaskStatus.PENDING)
    with pytest.raises(TaskNotFound):
        TaskRows(database).get("no such task")


def test_a_task_moves_on_and_says_what_came_of_it(database: Database) -> None:
    kept, task = TaskRows(database), added(database, 1, image_id="i1")
    add(UnheardImages(database), an_image(id="i1"))
    with pytest.raises(ImageBusy):
        commit(database, tasks.none_works_on("i1"))
    kept.move(task.id, TaskStatus.PROCESSING, NOON + 5)
    ended = kept.move(task.id, TaskStatus.FAILURE, NOON + 9, message="why", result={"a": 1})
    assert kept.get(task.id) == ended
    assert (ended.message, ended.result, ended.updated_at) == ("why", {"a": 1}, NOON + 9)
    assert ended.expires_at == NOON + 9 + KEPT_S * 1_000_000
    assert kept.move(task.id, TaskStatus.FAILURE, NOON + 99, message="again") == ended
    commit(database, tasks.none_works_on("i1"))
    with pytest.raises(TaskStatusConflict):
        kept.move(task.id, TaskStatus.SUCCESS, NOON + 99)
    assert kept.forget_expired(NOON + 9) == 0
    assert kept.forget_expired(ended.expires_at + 1) == 1
    assert kept.of_image("i1") == []


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", tasks.SORT_KEYS)
def test_pages_give_every_task_once_in_order(database: Database, key: str, direction: str) -> None:
    for number in range(7):
        added(database, number // 2)
    query = TaskQuery(sort_key=key, sort_dir="asc" if direction == "asc" else "desc", limit=3)
    whole = TaskRows(database).page(TaskQuery(sort_key=key, sort_dir=query.sort_dir, limit=100))
    seen: list[Task] = []
    while page := TaskRows(database).page(
        TaskQuery(sort_key=key, sort_dir=query.sort_dir, limit=3, marker=seen[-1].id if seen else None)
    ):
        seen += page
    assert seen == whole
    assert len(seen) == 7
    values = [(getattr(task, key), task.id) for task in seen]
    assert values == sorted(values, reverse=direction == "desc")


def test_filters_hold_together(database: Database) -> None:
    mine = added(database, 1, type="import")
    added(database, 2, type="location_import")
    added(database, 3, type="import", owner="p2")
    page = TaskRows(database).page
    assert page(TaskQuery(owner="p1", type="import", status="pending")) == [mine]
    assert page(TaskQuery(status="success")) == []
    with pytest.raises(TaskMarkerNotFound):
        page(TaskQuery(marker="absent"))
