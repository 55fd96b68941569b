"""Rounds of one kill each, under clients that never pause; after each of them everything is looked at."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

from functional.headwater_process import HeadwaterDidNotStart, HeadwaterProcess, wait_until
from headwater.database.engine import Database
from torture.clients import Client
from torture.invariants import broken, require_settles

CLIENTS = 6


def require_nothing_lost(url: str, directory: Path, rounds: int, fewest_answers: int) -> None:
    """Kill a service on an empty database in so many rounds, and demand all that it promised, each time."""
    chance = random.Random(url.partition(":")[0])
    service = HeadwaterProcess(directory, toml=f'[database]\nurl = "{url}"\n', workers=2)
    service.start()
    database = Database(url)
    clients = [Client(number, lambda: int(service.images_url.rpartition(":")[2])) for number in range(CLIENTS)]
    try:
        for client in clients:
            client.start()
        for _ in range(rounds):
            time.sleep(chance.uniform(0.05, 1.0))
            _kill(service, chance)
            with contextlib.ExitStack() as paused:
                for client in clients:
                    paused.callback(client.pause().release)
                require_settles(service, database)
                assert broken(service, database, clients) == []
            assert [client.wrong for client in clients] == [[]] * CLIENTS
    finally:
        for client in clients:
            client.stop()
        service.kill()
        database.close()
    assert sum(client.answered for client in clients) > fewest_answers
    assert [event for event in service.logs() if event["event"] == "failed"] == []


def _kill(service: HeadwaterProcess, chance: random.Random) -> None:
    """Kill a worker, the supervisor or everything, and return when the service is whole again."""
    what = chance.choice(("a worker", "all", "all", "the supervisor"))
    if what == "a worker":
        before = service.workers()
        os.kill(chance.choice(before), signal.SIGKILL)
        wait_until(lambda: len(set(service.workers()) - set(before)) == 1, "another worker took its place")
        return
    if what == "the supervisor":
        os.kill(service.pid, signal.SIGKILL)
        time.sleep(chance.uniform(0, 0.2))  # its workers notice, and begin to stop
    service.kill()
    if chance.random() < 0.3:  # in the middle of a start, which clears what the first kill left
        _kill_while_it_starts(service, chance.uniform(0, 0.5))
    service.start()


def _kill_while_it_starts(service: HeadwaterProcess, after_s: float) -> None:
    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):  # it has not begun
            os.killpg(service.pid, signal.SIGKILL)

    timer = threading.Timer(after_s, kill)
    timer.start()
    with contextlib.suppress(HeadwaterDidNotStart):
        service.start()
    timer.join()
    service.kill()
