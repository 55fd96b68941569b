"""Copies from URLs: what is tried again, what ends them, and what is left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.image_catalogue import add, an_image
from headwater.errors import HeadwaterError
from headwater.fetching.fetcher import RemoteFailed, RemoteTooLarge
from headwater.fetching.url_filter import UrlRefused
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.imports.web_copy import Order
from headwater.images.model import Image, Status
from headwater.images.task import TaskStatus
from headwater.jobs.queue import enter
from headwater.jobs.runner import ATTEMPTS
from headwater.stores.store import StoreUnavailable
from unit.images.v1.v1_service import ADMIN, ANN, Page, Service, says, service

URL = "http://good/x"
DATA = bytes(range(256)) * 10


@pytest.fixture
def v1(tmp_path: Path) -> Iterator[Service]:
    with service(tmp_path, size_cap=1 << 16) as made:
        made.web.pages[URL] = [Page(DATA)]
        yield made


@pytest.fixture
def image(v1: Service) -> Image:
    """An image whose copy is ordered."""
    return v1.images.create(ANN, says(copy_from=URL), brings=False)


def failed(status: int | None) -> RemoteFailed:
    return RemoteFailed(URL, f"the server answered {status}", status)


def test_an_order_is_written_down_without_the_token() -> None:
    caller = replace(ANN, token="secret", service_roles=frozenset({"service"}), system_scope="all", domain_id="d")
    order = Order(image_id="i", url=URL, caller=caller, task_id="t", store="s", failed=Status.QUEUED)
    assert "secret" not in str(order.to_dict())
    assert Order.from_dict(order.to_dict()) == replace(order, caller=replace(caller, token=None))


def test_an_order_of_a_newer_release_is_understood() -> None:
    order = Order(image_id="i", url=URL, caller=ANN, task_id="t", store="s", failed=Status.QUEUED)
    newer = order.to_dict()
    newer["of_the_next"] = 1
    newer["caller"]["of_the_next"] = [1]
    assert Order.from_dict(newer) == replace(order, caller=replace(ANN, token=None))


def test_a_copy_goes_the_way_of_an_upload(v1: Service, image: Image) -> None:
    assert v1.run() == []
    after = v1.catalogue.get(image.id)
    assert (after.status, after.size, after.checksum) == (Status.ACTIVE, len(DATA), hashlib.md5(DATA).hexdigest())
    assert v1.waiting() == []
    # Done by whoever asked for it.
    assert [action for action, _, ok in v1.heard.entries if ok] == ["image.create", "image.prepare", "image.upload"]


def test_a_size_that_the_server_does_not_say_is_no_hindrance(v1: Service, image: Image) -> None:
    v1.web.pages[URL] = [Page(DATA, says_size=False)]
    assert v1.run() == []
    assert v1.catalogue.get(image.id).size == len(DATA)


@pytest.mark.parametrize("error", [failed(None), failed(500), failed(503), failed(429)])
def test_what_may_pass_is_tried_again_and_in_the_end_given_up(v1: Service, image: Image, error: HeadwaterError) -> None:
    v1.web.pages[URL] = [Page(DATA[:100], error), error, Page(DATA)]
    assert [each.partition(":")[0] for each in v1.run() + v1.run()] == ["TryAgain", "TryAgain"]
    assert v1.catalogue.get(image.id).status is Status.QUEUED
    assert list(v1.store.list()) == []
    assert v1.run() == []
    assert v1.catalogue.get(image.id).status is Status.ACTIVE

    other = v1.images.create(ANN, says(copy_from=URL), brings=False)
    v1.web.pages[URL] = [error]
    tries = [v1.run() for _ in range(6)]  # once, and again as often as the settings say
    assert [len(each) for each in tries] == [1] * 5 + [0]
    assert v1.catalogue.get(other.id).status is Status.KILLED
    assert v1.waiting() == []


def test_a_copy_outlasts_a_store_of_ours_that_is_away_for_longer_than_a_server_is_waited_for(
    v1: Service, image: Image
) -> None:
    v1.web.pages[URL] = [Page(DATA[:100], StoreUnavailable("memory", "it rests"))]
    for _ in range(10):
        assert [each.partition(":")[0] for each in v1.run()] == ["StoreUnavailable"]
    v1.web.pages[URL] = [Page(DATA)]
    assert v1.run() == []
    assert v1.catalogue.get(image.id).status is Status.ACTIVE


@pytest.mark.parametrize(
    "page",
    [failed(404), failed(403), failed(410), UrlRefused(URL, "no"), RemoteTooLarge(URL, 5), Page(bytes((1 << 16) + 1))],
)
def test_what_will_not_pass_ends_it_at_once(v1: Service, image: Image, page: Page | HeadwaterError) -> None:
    v1.web.pages[URL] = [page]
    assert v1.run() == []
    assert v1.catalogue.get(image.id).status is Status.KILLED
    assert list(v1.store.list()) == []
    assert v1.waiting() == []


def test_an_error_nobody_thought_of_is_not_tried_for_ever(v1: Service, image: Image) -> None:
    v1.web.pages[URL] = [Page(DATA[:100], ZeroDivisionError("oops"))]
    for _ in range(ATTEMPTS - 1):
        assert v1.run() == ["ZeroDivisionError: oops"]
    assert v1.run() == []
    assert v1.catalogue.get(image.id).status is Status.KILLED


def test_a_copy_waits_until_what_its_dead_process_left_is_cleared(v1: Service, image: Image) -> None:
    data = v1.uploads.begin(ANN, image.id)
    assert [each.partition(":")[0] for each in v1.run()] == ["Later"]
    data.abandon()
    assert v1.run() == []
    assert v1.catalogue.get(image.id).status is Status.ACTIVE


def test_a_copy_that_was_done_before_its_process_died_is_done(v1: Service, image: Image) -> None:
    (job,) = v1.waiting()
    v1.web_copy.run(job)
    v1.web_copy.run(replace(job, attempts=job.attempts + 1))
    assert v1.catalogue.get(image.id).status is Status.ACTIVE
    assert len(list(v1.store.list())) == 1


def test_data_that_somebody_else_brought_stays(v1: Service, image: Image) -> None:
    data = v1.uploads.begin(ANN, image.id)
    data.finish()
    assert v1.run() == []
    after = v1.catalogue.get(image.id)
    assert (after.status, after.size) == (Status.ACTIVE, 0)


def test_an_image_that_was_deleted_needs_no_copy(v1: Service, image: Image) -> None:
    v1.images.delete(ANN, image.id)
    assert v1.run() == []
    assert v1.waiting() == []


def test_a_copy_is_judged_again_when_it_runs(v1: Service) -> None:
    image = an_image(owner="b", disk_format="raw", container_format="bare")
    add(v1.catalogue, image)
    order = Order(image_id=image.id, url=URL, caller=ANN, failed=Status.QUEUED)
    v1.database.write(lambda connection: enter(connection, "copy", order.to_dict(), now=v1.now))
    assert v1.run() == []
    assert v1.catalogue.get(image.id) == image


# --- Tasks ----------------------------------------------------------------------------------------


def test_a_task_follows_its_copy(v1: Service) -> None:
    asked = {"import_from": URL, "import_from_format": "raw", "image_properties": {"name": "x"}}
    task = v1.tasks.create(ADMIN, {"type": "import", "input": asked})
    assert (task.status, task.owner, task.user_id) == (TaskStatus.PENDING, "z", "root")
    v1.web.pages[URL] = [failed(None), Page(DATA)]
    assert len(v1.run()) == 1
    assert v1.tasks.get(ADMIN, task.id).status is TaskStatus.PROCESSING
    assert v1.run() == []
    over = v1.tasks.get(ADMIN, task.id)
    assert (over.status, over.result, over.message) == (TaskStatus.SUCCESS, {"image_id": task.image_id}, "")
    assert over.expires_at == v1.now + 3600 * 1_000_000
    v1.now += 3601 * 1_000_000
    assert v1.tasks.forget_expired() == 1


def test_a_task_that_failed_says_why_and_its_image_waits(v1: Service) -> None:
    asked = {"import_from": URL, "import_from_format": "qcow2", "image_properties": {}}
    task = v1.tasks.create(ADMIN, {"type": "import", "input": asked})
    (job,) = v1.waiting()
    v1.web_copy.run(job)
    over = v1.tasks.get(ADMIN, task.id)
    assert (over.status, over.result) == (TaskStatus.FAILURE, None)
    assert "disk_format qcow2 does not match" in over.message
    assert task.image_id is not None
    assert v1.catalogue.get(task.image_id).status is Status.QUEUED
    # Run once more, as after a crash: what it said stays.
    v1.web.pages[URL] = [failed(404)]
    v1.web_copy.run(job)
    assert TaskRows(v1.database).get(task.id) == over
