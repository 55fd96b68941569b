"""The worker processes of one service: forked, watched, replaced.

Each worker has a pipe to its supervisor. Into it go the word that it listens, and then a word every ``BEAT_S`` as long
as its event loop turns; its end says that the process has ended. A worker whose loop stands still keeps the connections
that the kernel hands it, so it is killed and replaced. Only the seconds in which the supervisor itself ran count
against it: neither a machine that slept nor a group of processes that was stopped costs a worker.

A worker that ends is replaced. Where workers end as soon as they start, again and again, the service gives up if it
never was ready. Later it does not, whatever kills them (the kernel's want of memory, an operator, a file that is gone):
those that live go on to serve, and the pauses between the tries grow.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from headwater.errors import SettingsError, Unavailable
from headwater.images.data.admission import Admitted
from headwater.server import worker
from headwater.server.drain import Drain, ignore_signals
from headwater.server.metrics import processes
from headwater.server.settings import Settings
from headwater.server.worker import BEAT_S, READY, Part

_log = logging.getLogger(__name__)

_CRASH_LOOP_S = 2.0  # a worker that ends sooner than this after its start has no future
_STARTS_IN_A_ROW = 5
_STOPS = (signal.SIGTERM, signal.SIGINT)
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0


@dataclass(slots=True)
class _Worker:
    """One process, as its supervisor knows it."""

    pid: int
    part: Part
    pipe: int | None  # None: it has ended, or is about to
    began: float
    is_ready: bool = False
    silent_s: float = 0.0


class Workers:
    """All of them; used by one thread, whose process forks."""

    def __init__(
        self, settings: Settings, found: Admitted, drain: Drain, on_ready: Callable[[], None], *, serves: bool = True
    ) -> None:
        """Take what each worker is given.

        Args:
            found: The stores, as the start found them.
            serves: They listen, each on the ports of its part; else they run jobs only.
            drain: Told of a stop, and looked after.
            on_ready: Called once, when every worker is ready.
        """
        self._settings = settings
        self._found = found
        self._drain = drain
        self._on_ready = on_ready
        self._parts = _parts(settings, serves=serves)
        self._serves = serves
        self._was_ready = False
        self._workers: dict[int, _Worker] = {}  # by process id
        self._due: list[tuple[float, Part]] = []  # when which worker is to be started
        self._short_lives = 0
        self._stop_at: float | None = None  # when workers are told to
        self._stopping = False  # they were
        self._code = 0
        self._supervisor_lives, self._held_open = os.pipe()  # ends for a worker when the supervisor does

    def run(self) -> int:
        """Keep as many workers as the settings say, until a signal says to stop; return the exit code."""
        for number in _STOPS:
            signal.signal(number, self._asked_to_stop)
        for part in self._parts:
            self._start(part)
        turned = time.monotonic()
        while self._workers or (self._due and not self._stopping):
            self._drain.look()
            self._listen()
            now = time.monotonic()
            if self._stop_at is not None and now >= self._stop_at:
                self._stop()
            # A turn that took longer was none of ours: this process, or the machine, stood still.
            if now - turned < 2 * BEAT_S:
                self._kill_silent(now - turned)
            turned = now
            self._start_due(now)
        return self._code

    def _start(self, part: Part) -> None:
        pipe, says = os.pipe()
        os.set_blocking(says, False)  # so that no worker waits for a supervisor that stands still
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        try:
            pid = os.fork()
            if pid == 0:  # our handler, run there, would take the signal and stop nobody
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells us, and we tell the worker
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                ignore_signals()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        if pid == 0:
            code = 1
            try:
                for each in (self._held_open, pipe, *(other.pipe for other in self._workers.values())):
                    if each is not None:
                        os.close(each)
                code = worker.work(
                    part, self._settings, self._found, self._drain, says=says, supervisor_lives=self._supervisor_lives
                )
            except (SettingsError, Unavailable) as error:
                _log.error("a worker cannot start", extra={"error": str(error)})
            except Exception:  # noqa: BLE001 - the process ends here; the log keeps why
                _log.exception("a worker failed")
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(says)
        self._workers[pid] = _Worker(pid, part, pipe, time.monotonic())
        if self._stopping:  # the signal came while it was forked: the handler did not know of it
            os.kill(pid, signal.SIGTERM)

    def _start_due(self, now: float) -> None:
        due, self._due = [each for each in self._due if each[0] <= now], [each for each in self._due if each[0] > now]
        for _, part in due:
            if not self._stopping:
                self._start(part)
        if not self._due and all(now - each.began > _CRASH_LOOP_S for each in self._workers.values()):
            self._short_lives = 0

    # --- What they say ---------------------------------------------------------------------------

    def _listen(self) -> None:
        """Wait for the next words of workers, no longer than until something else is to be done."""
        poll = select.poll()
        by_pipe = {each.pipe: each for each in self._workers.values() if each.pipe is not None}
        for pipe in by_pipe:
            poll.register(pipe, select.POLLIN)
        ends = len(by_pipe) < len(self._workers)
        due = [at for at, _ in self._due]
        if self._stop_at is not None and not self._stopping:
            due.append(self._stop_at)
        wait_s = 0.01 if ends else min([BEAT_S, *(max(0.0, at - time.monotonic()) for at in due)])
        for pipe, _ in poll.poll(int(wait_s * 1000) + 1):
            self._hear(by_pipe[pipe], os.read(pipe, 4096))
        for each in [each for each in self._workers.values() if each.pipe is None]:
            pid, status = os.waitpid(each.pid, os.WNOHANG)
            if pid:
                self._ended(each, os.waitstatus_to_exitcode(status))

    def _hear(self, one: _Worker, words: bytes) -> None:
        if not words and one.pipe is not None:
            os.close(one.pipe)
            one.pipe = None
            return
        one.silent_s = 0.0
        one.is_ready = one.is_ready or READY in words
        are_ready = sum(each.is_ready for each in self._workers.values())
        if not self._was_ready and are_ready == len(self._parts):
            self._was_ready = True
            self._on_ready()

    def _kill_silent(self, passed_s: float) -> None:
        limit_s = self._settings.server.worker_timeout_s
        for each in self._workers.values():
            each.silent_s += passed_s
            if limit_s and each.silent_s > limit_s and not self._stopping:
                _log.error("a worker stands still and is killed", extra={"pid": each.pid, "still_s": limit_s})
                each.silent_s = 0.0
                _send(each.pid, signal.SIGKILL)

    def _ended(self, one: _Worker, code: int) -> None:
        del self._workers[one.pid]
        processes.forget_process(one.pid)
        if self._stopping:
            return
        now = time.monotonic()
        self._short_lives = self._short_lives + 1 if now - one.began < _CRASH_LOOP_S else 0
        _log.error("a worker ended and is replaced", extra={"pid": one.pid, "part": one.part.value, "code": code})
        if self._short_lives >= _STARTS_IN_A_ROW and not self._was_ready:
            _log.error("workers end as soon as they start; giving up")
            self._code = 1
            self._stop()
            return
        pause_s = min(_PAUSE_S * 2.0 ** (self._short_lives - 1), _LONGEST_PAUSE_S) if self._short_lives else 0.0
        self._due.append((now + pause_s, one.part))

    # --- The end ---------------------------------------------------------------------------------

    def _asked_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Stop, once load balancers had time to hear of it; asked again, stop at once."""
        drain_s = self._settings.server.drain_s
        if drain_s and self._serves and self._was_ready and self._stop_at is None:
            self._drain.before_stop()
            self._stop_at = time.monotonic() + drain_s
        else:
            self._stop()

    def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        for pid in self._workers:
            _send(pid, signal.SIGTERM)
        # A margin over the workers' own limit, after which they have no excuse.
        signal.signal(signal.SIGALRM, self._kill)
        signal.alarm(self._settings.server.stop_timeout_s + 5)

    def _kill(self, _number: int, _frame: FrameType | None) -> None:
        for pid in self._workers:
            _send(pid, signal.SIGKILL)


def _parts(settings: Settings, *, serves: bool) -> list[Part]:
    """Return what each worker does."""
    if not serves:
        return [Part.JOBS] * settings.workers
    apart = settings.server.guest_workers
    return [Part.IMAGES if apart else Part.ALL] * settings.workers + [Part.GUESTS] * apart


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
