"""What is tried again, after which pauses, and what is given up."""

from __future__ import annotations

import pytest

from headwater.errors import Invalid, TooLarge, Unavailable
from headwater.fetching.fetcher import RemoteFailed
from headwater.images.catalogue.upload_records import UploadLost
from headwater.images.imports.tries import ProcessesDied, Tries
from headwater.jobs.runner import ATTEMPTS, TryAgain
from headwater.stores.layers.awaited import StoreAwaited
from headwater.stores.layers.deadline import StoreHangs
from headwater.stores.layers.rest import StoreRests
from headwater.stores.rbd.cluster import CephRefused
from headwater.stores.s3.bucket import S3Refused
from headwater.stores.store import StoreRefusesWrites, StoreUnavailable


def remote(status: int | None) -> RemoteFailed:
    return RemoteFailed("http://good/x", "it fails", status)


def test_a_server_that_fails_is_asked_again_after_pauses_that_double_up_to_a_minute() -> None:
    pauses = []
    for attempt in range(1, 8):
        with pytest.raises(TryAgain) as again:
            Tries(7).again(attempt, remote(503))
        pauses.append(again.value.after_s)
    assert pauses == [2, 4, 8, 16, 32, 60, 60]
    Tries(7).again(8, remote(503))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 416])
def test_what_a_server_will_not_give_later_either_is_given_up(status: int) -> None:
    Tries(5).again(1, remote(status))


@pytest.mark.parametrize("error", [Unavailable("the catalogue"), UploadLost("i"), ZeroDivisionError()])
def test_what_is_ours_runs_again_as_any_job(error: Exception) -> None:
    for attempt in range(1, ATTEMPTS):
        with pytest.raises(type(error)):
            Tries(0).again(attempt, error)
    Tries(0).again(ATTEMPTS, error)


@pytest.mark.parametrize("error", [Invalid("no image"), TooLarge("no")])
def test_what_is_wrong_with_the_data_is_given_up(error: Exception) -> None:
    Tries(5).again(1, error)


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("s", "it is away"),
        StoreHangs("s", 3),
        StoreAwaited("s", "it is away"),
        StoreRests(StoreUnavailable("s", "it is slow")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_store_that_does_not_work_is_asked_again_as_often_as_a_server(error: StoreUnavailable) -> None:
    with pytest.raises(TryAgain, match="store s does not work"):
        Tries(2).of_store(2, error)
    Tries(2).of_store(3, error)


@pytest.mark.parametrize(
    "error",
    [StoreRefusesWrites("s", is_full=True), S3Refused("s", "the key is wrong"), CephRefused("s", "the key is wrong")],
    ids=lambda error: type(error).__name__,
)
def test_a_store_that_will_not_work_later_either_is_given_up(error: StoreUnavailable) -> None:
    Tries(5).of_store(1, error)


def test_what_ends_each_process_that_runs_it_is_given_up() -> None:
    Tries(5).begin(ATTEMPTS)
    with pytest.raises(ProcessesDied):
        Tries(5).begin(ATTEMPTS + 1)
