"""Run tempest's tests with stestr, as the OpenStack project does, in a directory of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import msgspec

from conformance.results import Report
from needs import CHECKOUT, not_run

_VENV = CHECKOUT / ".venv-conformance"
_HERE = Path(__file__).parent
_WORKERS = 2
_TEST_S = 90  # the longest that tempest lets one test take
_LONGEST_S = 900  # for one run


class SuitesDidNotRun(Exception):
    """stestr did not come to an end; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Suites:
    """A directory in which stestr can run, with tempest's configuration."""

    directory: Path

    @classmethod
    def prepare(cls, directory: Path, values: Mapping[str, str]) -> Suites:
        """Write what tempest and stestr read.

        Args:
            directory: An empty one.
            values: For the ``$words`` of ``tempest.conf.in``.
        """
        if not (_VENV / "bin" / "stestr").exists():
            not_run("tempest (.venv-conformance)", "run 'make test-conformance'")
        places = directory / "suites"
        places.mkdir()
        shutil.copy(_HERE / "discovery.py", places / "test_discovery.py")
        (directory / ".stestr.conf").write_text(
            f"[DEFAULT]\ntest_path={places}\ntop_dir={places}\nparallel_class=True\n"
        )
        config = Template((_HERE / "tempest.conf.in").read_text()).substitute(values, directory=directory)
        (directory / "tempest.conf").write_text(config)
        suites = cls(directory)
        suites._call("stestr", "init", timeout_s=60)
        return suites

    def tests(self) -> list[str]:
        """Return the names of all tests, with their attributes."""
        return [line for line in self._call("stestr", "list", timeout_s=300).decode().splitlines() if ".test_" in line]

    def run(self, tests: Sequence[str]) -> list[Report]:
        """Run these tests, and return what was reported.

        Raises:
            SuitesDidNotRun: It took too long, or left no reports.
        """
        chosen = self.directory / "chosen"
        chosen.write_text("".join(f"{test}\n" for test in tests))
        # A failed test is a result, not an error: the exit code says nothing that the reports do not.
        command = ["stestr", "run", "--concurrency", str(_WORKERS), "--load-list", str(chosen)]
        self._call(*command, timeout_s=_LONGEST_S, may_fail=True)
        stream = self._call("stestr", "last", "--subunit", timeout_s=60)
        lines = self._call("python", str(_HERE / "read_subunit.py"), timeout_s=60, given=stream).splitlines()
        return [msgspec.json.decode(line, type=Report) for line in lines]

    def _call(self, *words: str, timeout_s: float, given: bytes | None = None, may_fail: bool = False) -> bytes:
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.directory),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "TEMPEST_CONFIG_DIR": str(self.directory),
            "OS_TEST_TIMEOUT": str(_TEST_S),
        }
        complaints = self.directory / "stderr"
        with complaints.open("wb") as stderr:
            process = subprocess.Popen(
                [_VENV / "bin" / words[0], *words[1:]],
                cwd=self.directory,
                env=env,
                stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,  # its workers are ended with it
            )
        try:
            said = process.communicate(given, timeout_s)[0]
        except subprocess.TimeoutExpired as error:
            raise SuitesDidNotRun(f"{' '.join(words[:2])} did not end within {timeout_s} s") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode and not may_fail:
            output = (said + complaints.read_bytes()).decode(errors="replace")
            raise SuitesDidNotRun(f"{' '.join(words[:2])} ended with {process.returncode}:\n{output[-4000:]}")
        return said
