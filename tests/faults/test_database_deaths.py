"""The database dies, stands still, or a row is held: who asks meanwhile is told so in time, and all comes back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select, update

from headwater.database.engine import Database
from headwater.errors import Unavailable
from servers.database.databases import SERVERS
from servers.mortal import MortalDatabase, mortal_server

POOL = 4
THREADS = 6
numbers = Table(
    "numbers",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("n", Integer, nullable=False),
)


@pytest.fixture(params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in SERVERS])
def mortal(request: pytest.FixtureRequest) -> Iterator[MortalDatabase]:
    with mortal_server(request.param) as server:
        yield server


@pytest.fixture
def database(mortal: MortalDatabase) -> Iterator[Database]:
    database = Database(mortal.url, pool_size=POOL)
    database.write(numbers.metadata.create_all)
    database.write(lambda c: c.execute(insert(numbers), [{"id": each, "n": 0} for each in range(10)]))
    yield database
    database.close()


def count(connection: Connection) -> None:
    connection.execute(select(numbers)).all()


def raise_one(number: int) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        row = select(numbers).where(numbers.c.id == number).with_for_update()
        connection.execute(row).one()
        connection.execute(update(numbers).where(numbers.c.id == number).values(n=numbers.c.n + 1))

    return work


class Load:
    """Threads that read and write without a pause, and what they were told."""

    def __init__(self, database: Database) -> None:
        self.told: Counter[str] = Counter()
        self.slowest_s = 0.0
        self._database = database
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(place,)) for place in range(THREADS)]

    def __enter__(self) -> Load:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        for each in self._threads:
            each.join(60)

    def _run(self, place: int) -> None:
        while not self._ended.is_set():
            begun = time.monotonic()
            try:
                if place % 2:
                    self._database.read(count)
                else:
                    self._database.write(raise_one(place))
                self.told["well"] += 1
            except Unavailable:
                self.told["unavailable"] += 1
                time.sleep(0.01)
            except Exception as error:  # noqa: BLE001 - whatever it is, it would be a 500
                self.told[repr(error)] += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)


def require_whole_pools(database: Database) -> None:
    """Use every connection that the pools may have, at once."""
    together = threading.Barrier(POOL)

    def work(connection: Connection) -> None:
        count(connection)
        together.wait(20)

    for use in (database.read, database.write):
        with ThreadPoolExecutor(POOL) as threads:
            for done in [threads.submit(use, work) for _ in range(POOL)]:
                done.result(60)


def test_a_server_may_die_twenty_times_under_load(mortal: MortalDatabase, database: Database) -> None:
    with Load(database) as load:
        for _ in range(20):
            time.sleep(0.2)
            mortal.kill()
            mortal.start()
        time.sleep(0.2)
    assert set(load.told) == {"well", "unavailable"}, load.told
    require_whole_pools(database)


def test_a_server_that_stands_still_keeps_nobody_waiting(mortal: MortalDatabase, database: Database) -> None:
    with Load(database) as load:
        time.sleep(0.5)
        with mortal.standing_still():
            time.sleep(9)
            begun = time.monotonic()
            for use in (database.read, database.write):
                with pytest.raises(Unavailable):
                    use(count)
            assert time.monotonic() - begun < 2
        time.sleep(3)
        for use in (database.read, database.write):
            use(count)
    assert set(load.told) == {"well", "unavailable"}, load.told
    assert load.slowest_s < 8
    require_whole_pools(database)


def test_a_row_that_a_stranger_holds_costs_only_those_who_want_it(mortal: MortalDatabase, database: Database) -> None:
    stranger = Database(mortal.url)
    holds, lets_go = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        raise_one(1)(connection)
        holds.set()
        lets_go.wait(60)

    holder = threading.Thread(target=stranger.write, args=(hold,))
    holder.start()
    assert holds.wait(20)
    pool = threading.Semaphore(POOL)  # as many threads as a worker has for the catalogue
    waits: list[float] = []
    refusals: list[float] = []

    def want(work: Callable[[Connection], None], took: list[float]) -> None:
        begun = time.monotonic()
        with pool, contextlib.suppress(Unavailable):
            database.write(work)
        took.append(time.monotonic() - begun)

    wanting = [threading.Thread(target=want, args=(raise_one(1), refusals)) for _ in range(20)]
    others = [threading.Thread(target=want, args=(raise_one(2), waits)) for _ in range(20)]
    for each in wanting:
        each.start()
    for each in others:
        time.sleep(0.1)
        each.start()
    for each in (*wanting, *others):
        each.join(60)
    lets_go.set()
    holder.join(20)
    stranger.close()
    assert len(refusals) == len(waits) == 20
    database.write(raise_one(1))
    assert max(waits) < 1.5, waits
