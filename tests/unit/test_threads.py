from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from headwater.threads import Pool

WAIT_S = 20

_context: contextvars.ContextVar[str] = contextvars.ContextVar("context", default="nothing")


def test_work_runs_in_a_thread_of_its_pool_and_gives_its_result() -> None:
    pool = Pool("kind", 1)
    name = asyncio.run(pool.run(lambda: threading.current_thread().name))
    assert name.startswith("headwater-kind")
    pool.close()


def test_an_error_of_the_work_reaches_who_waits() -> None:
    def fail() -> None:
        raise ValueError("no")

    pool = Pool("kind", 1)
    with pytest.raises(ValueError, match="no"):
        asyncio.run(pool.run(fail))
    assert asyncio.run(pool.run(lambda: "still works")) == "still works"
    pool.close()


def test_the_context_of_the_request_goes_along() -> None:
    async def ask() -> str:
        _context.set("a request")
        return await pool.run(_context.get)

    pool = Pool("kind", 1)
    assert asyncio.run(ask()) == "a request"
    assert asyncio.run(pool.run(_context.get)) == "nothing"
    pool.close()


def test_no_more_than_its_size_runs_at_once_and_one_pool_does_not_hold_up_another() -> None:
    busy, idle = Pool("busy", 2), Pool("idle", 1)
    gate = threading.Event()
    running: list[int] = []
    peak = 0
    lock = threading.Lock()

    def block() -> None:
        nonlocal peak
        with lock:
            running.append(1)
            peak = max(peak, len(running))
        gate.wait(WAIT_S)
        with lock:
            running.pop()

    async def work() -> None:
        waiting = [asyncio.create_task(busy.run(block)) for _ in range(6)]
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(idle.run(lambda: "answered"), WAIT_S) == "answered"
        gate.set()
        await asyncio.gather(*waiting)

    asyncio.run(work())
    assert peak == 2
    busy.close()
    idle.close()


def test_closing_waits_for_the_work_that_runs() -> None:
    pool = Pool("kind", 1)
    started, done = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        threading.Event().wait(0.05)
        done.set()

    pool.start(work)
    started.wait(WAIT_S)
    pool.close()
    assert done.is_set()
    with pytest.raises(RuntimeError):
        pool.start(work)


def test_a_pool_claims_less_of_the_processor_than_its_process_whatever_that_claims() -> None:
    program = (
        "import asyncio, os, threading\n"
        "from headwater.threads import Pool\n"
        "os.nice(7)\n"
        "pool, before = Pool('kind', 1, nice=3), os.getpriority(os.PRIO_PROCESS, 0)\n"
        "work = lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())\n"
        "print(asyncio.run(pool.run(work)) == min(before + 3, 19))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "True\n"


def test_a_pool_may_claim_less_of_the_processor_than_others() -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = os.getpriority(os.PRIO_PROCESS, 0)
    calls: dict[int, Callable[[], int]] = {0: priority, 3: priority}
    for nice, call in calls.items():
        pool = Pool("kind", 1, nice=nice)
        assert asyncio.run(pool.run(call)) == min(before + nice, 19)
        pool.close()
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
