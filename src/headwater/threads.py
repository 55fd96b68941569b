"""Threads for blocking work, in pools of fixed size, so that one kind of work never starves another.

Everything behind the HTTP edge blocks; the edge awaits it here. The log's context (request id) goes
along. A pool's threads start when there is work for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

T = TypeVar("T")

_LEAST = 19  # the nice value of the lowest claim there is


class Pool:
    """Some threads for one kind of work."""

    def __init__(self, name: str, size: int, *, nice: int = 0) -> None:
        """Prepare at most ``size`` threads; ``nice`` lowers their claim on the processor, from that of the process."""
        self.size = size
        self._executor = ThreadPoolExecutor(size, f"headwater-{name}", partial(_lower_claim, nice))

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, once a thread has run it."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._executor, context.run, work)

    def start(self, work: Callable[[], None]) -> None:
        """Let a thread run ``work``, which handles its own errors."""
        self._executor.submit(work)

    def close(self) -> None:
        """Wait for the work that runs; take no more."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _lower_claim(nice: int) -> None:
    if not nice:
        return
    # Linux keeps a nice value for each thread; where it does not, all claims stay equal.
    with contextlib.suppress(OSError):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + nice, _LEAST))
