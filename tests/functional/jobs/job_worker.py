"""`headwater worker` as a process, with the settings and the catalogue of a service."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from functional import program
from functional.headwater_process import HeadwaterProcess, bare_environment, wait_until
from functional.program import Process

READY = "Headwater is ready: jobs run"


class JobWorker:
    """Processes that run jobs, and their supervisor: ``start`` it, ``stop`` or ``kill`` it."""

    def __init__(self, service: HeadwaterProcess, name: str = "worker", *, workers: int = 1) -> None:
        self._service, self._workers = service, workers
        self._out, self._err = (service.directory / f"{name}.{kind}" for kind in ("out", "err"))
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Process id of the supervisor."""
        assert self._process is not None, "it was not started"
        return self._process.pid

    def processes(self) -> list[int]:
        """Return the process ids of the workers that run now."""
        with contextlib.suppress(OSError):
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and return when it is ready."""
        places = ["--config", str(self._service.config_file), "--data-dir", str(self._service.data_dir)]
        with self._out.open("wb") as out, self._err.open("ab") as err:
            self._process = program.start(
                [*places, "worker", "--workers", str(self._workers)],
                directory=self._service.directory,
                env=bare_environment(self._service.directory),
                stdout=out,
                stderr=err,
            )
        wait_until(lambda: READY in self._out.read_text() or not self.is_running(), "the worker is ready", 60)
        assert self.is_running(), self._err.read_text()

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(60)
        finally:
            self.kill()

    def kill(self) -> None:
        """End all its processes at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
