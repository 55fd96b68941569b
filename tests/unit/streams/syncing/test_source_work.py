"""Runs of sources as jobs, from a feed that a test answers for into a service in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from headwater.database.engine import Database
from headwater.fetching.fetcher import RemoteChanged, RemoteFailed, RemoteTooLarge
from headwater.fetching.url_filter import UrlRefused
from headwater.jobs.overview import Count, Overview
from headwater.jobs.queue import Cancelled, Job, Jobs
from headwater.jobs.runner import Later, TryAgain
from headwater.streams.syncing.sources import work
from headwater.streams.syncing.sources.fetched_tree import FetchedTree
from headwater.streams.syncing.sources.rows import KIND, SourceRows
from headwater.streams.syncing.sources.source import Outcome, Source, SourceSettings
from headwater.streams.syncing.sources.work import SourceWork
from headwater.streams.trees.tree import PathChanged, PathNotFound, TreeCannot, TreeRefused, TreeUnavailable
from headwater.threads import Pool
from unit.clock import Clock
from unit.streams.syncing.cloud_feed import CloudFeed
from unit.streams.syncing.memory_target import MemoryTarget

URL = "https://feeds.example/images"


class Fetched:
    def __init__(self, data: bytes) -> None:
        self.size, self.validator, self._data = len(data), '"tag"', data

    def __iter__(self) -> Any:
        return iter([self._data[at : at + 50_000] for at in range(0, len(self._data), 50_000)])

    def close(self) -> None:
        pass


class Fetcher:
    """Gives files by their URL."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = {f"{URL}/{path}": body for path, body in files.items()}
        self.fails: Exception | None = None
        self.looks = 0

    def open(self, url: str, start: int = 0, *, look: Callable[[], None] = lambda: None, **_more: Any) -> Fetched:
        look()
        if self.fails is not None:
            raise self.fails
        if url not in self.files:
            raise RemoteFailed(url, "there is none", 404)
        return Fetched(self.files[url][start:])


class Tally:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.known: Mapping[str, Source] = {}
        self.waiting: Mapping[str, Count] = {}

    def ran(self, kind: str, end: str, seconds: float) -> None:
        pass

    def jobs(self, counts: Mapping[str, Count], now: int) -> None:
        self.waiting = counts

    def sources(self, sources: Mapping[str, Source]) -> None:
        self.known = sources

    def synced(self, source: str, counts: Mapping[str, int]) -> None:
        self.counts = dict(counts)


class Site:
    def __init__(self, database: Database, clock: Clock) -> None:
        feed = CloudFeed({"22.04": ["20250101"], "24.04": ["20250101"]})
        self.fetcher = Fetcher({**feed.documents, **feed.files})
        self.target, self.tally, self.rows = MemoryTarget(), Tally(), SourceRows(database)
        self.ended = threading.Event()
        self.queue, self.clock, self.pool = Jobs(database), clock, Pool("test", 1)
        self.work = SourceWork(
            self.rows,
            self.queue,
            cast(Any, None),
            cast(Any, self.fetcher),
            self.pool,
            overview=Overview(database),
            tally=self.tally,
            clock=clock,
            target_of=lambda _source: self.target,
        )

    def job(self, **more: Any) -> Job:
        """Enter a source and its run, and return that as it was claimed."""
        self.rows.add(SourceSettings.of({"name": "one", "url": URL, **more}), None, self.clock())
        self.rows.enter_due(self.clock())
        [job] = self.queue.claim([KIND], "here/1/1", self.clock(), limit=5)
        return job

    @property
    def source(self) -> Source:
        return self.rows.get("one")


@pytest.fixture
def site(database: Database, clock: Clock) -> Site:
    return Site(database, clock)


def test_a_run_brings_the_images_and_notes_how_it_ended(site: Site) -> None:
    site.work.run(site.job())
    assert len(site.target.images) == 2
    assert (site.source.outcome, site.source.error) == (Outcome.DONE, None)
    assert site.source.report == {"counts": {"created": 2}, "failures": []}
    assert site.tally.counts == {"created": 2}
    assert list(site.tally.known) == ["one"]


def test_a_run_whose_end_was_noted_does_nothing_when_it_comes_again(site: Site) -> None:
    job = site.job()
    site.work.run(job)
    calls = len(site.target.calls)
    site.work.run(job)
    assert len(site.target.calls) == calls


def test_a_run_of_a_source_that_is_gone_is_over(site: Site) -> None:
    job = site.job()
    site.rows.remove("one", "me", site.clock())
    site.work.run(job)
    assert site.target.calls == []


def test_a_server_that_does_not_answer_is_asked_again_and_then_the_run_has_failed(site: Site) -> None:
    job = site.job()
    site.fetcher.fails = RemoteFailed(URL, "it is silent")
    for attempt in range(1, work.TRIES):
        with pytest.raises(TryAgain):
            site.work.run(Job(job.id, job.kind, job.document, attempt, job.created_at))
        assert site.source.ended_at is None
        assert "silent" in (site.source.error or "")
    site.work.run(Job(job.id, job.kind, job.document, work.TRIES, job.created_at))
    assert site.source.outcome is Outcome.FAILED
    assert site.source.ended_at is not None


def test_a_run_that_somebody_ends_says_who(site: Site) -> None:
    job = site.job()
    job.wish.cancelled_by = "user ann"
    with pytest.raises(Cancelled):
        site.work.run(job)
    assert (site.source.outcome, site.source.error) == (Outcome.CANCELLED, "cancelled by user ann")


def test_a_process_that_stops_leaves_the_run_to_another(site: Site) -> None:
    job = site.job()
    site.work.stop()
    with pytest.raises(Later):
        site.work.run(job)
    assert site.source.outcome is Outcome.RUNNING
    assert site.source.ended_at is None


def test_a_run_that_lasts_too_long_is_ended(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "LONGEST_S", -1)
    site.work.run(site.job())
    assert site.source.outcome is Outcome.FAILED
    assert "was ended after" in (site.source.error or "")


def test_what_nobody_foresaw_is_noted_without_its_words(site: Site) -> None:
    job = site.job()
    site.fetcher.fails = ZeroDivisionError("a secret")
    with pytest.raises(ZeroDivisionError):
        site.work.run(job)
    assert site.source.outcome is Outcome.FAILED
    assert "secret" not in (site.source.error or "")


def test_a_failure_of_one_image_fails_the_run_and_is_told(site: Site) -> None:
    path = next(each for each in site.fetcher.files if each.endswith("noble/20250101/server-amd64.img"))
    del site.fetcher.files[path]
    site.work.run(site.job())
    assert site.source.outcome is Outcome.FAILED
    assert "there is no server/noble" in (site.source.error or "")
    assert len(site.target.images) == 1


def test_a_look_enters_what_is_due_and_renewing_tells_of_it(site: Site) -> None:
    site.rows.add(SourceSettings.of({"name": "one", "url": URL}), None, site.clock())
    assert site.work.look() > 0
    while site.source.ended_at is None:
        site.ended.wait(0.01)
    site.work.close()
    assert site.source.outcome is Outcome.DONE
    site.work.renew()
    assert site.tally.waiting[KIND].oldest_at is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RemoteFailed(URL, "no", 404), PathNotFound),
        (RemoteFailed(URL, "no", 403), TreeRefused),
        (RemoteFailed(URL, "no", 503), TreeUnavailable),
        (RemoteFailed(URL, "no"), TreeUnavailable),
        (RemoteChanged(URL), PathChanged),
        (RemoteTooLarge(URL, 1), TreeRefused),
        (UrlRefused(URL, "no"), TreeRefused),
    ],
)
def test_a_fetched_tree_fails_as_trees_do(error: Exception, expected: type[Exception]) -> None:
    fetcher = Fetcher({})
    fetcher.fails = error
    with pytest.raises(expected):
        FetchedTree(URL, cast(Any, fetcher)).read("streams/v1/index.json")


def test_a_fetched_tree_is_read_and_nothing_else() -> None:
    tree = FetchedTree(f"{URL}/", cast(Any, Fetcher({"a": b"x" * 100})))
    assert (tree.read("a").body, tree.stat("a").size, tree.public_url()) == (b"x" * 100, 100, URL)
    with tree.open("a", 40) as opened:
        assert (b"".join(opened), opened.start) == (b"x" * 60, 40)
    with pytest.raises(TreeRefused):
        tree.read("a", 10)
    with pytest.raises(TreeCannot):
        tree.list()
    with pytest.raises(TreeCannot):
        tree.write("a", b"")
    with pytest.raises(TreeCannot):
        tree.delete("a")
    with pytest.raises(TreeCannot):
        tree.prepare()
