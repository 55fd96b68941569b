"""Which tests may run at the same time, when pytest-xdist has several processes for them (``make test``).

A file goes to one process as a whole, but for those whose tests take long each: they are given away one by one. Those
that want a server which is slow to start share the process that has it. Tests of a running service wait often, for it
and for its clocks, and the others never: as long as there are such, a process for each processor has one of them, so
that the processors always have something to do. What takes longest as one piece begins first.
What waits for seconds on end, and looks at a clock that counts them, comes when the rest is given away: it leaves the
processors idle, and wants them so; several of these run beside each other. What measures in milliseconds comes last, in
one process, when the others have ended.

What is missing in this table passes as well; it costs another server, or is disturbed by others.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ALONE = "alone"
WAITS = "waits"
IN_PARTS = "in parts"
KEYSTONE = "keystone"
SWIFT = "swift"
CONNECTIONS = "tests/functional/server/edge/test_connections.py"
FIRST = (
    "tests/torture/test_kills.py",
    "tests/fuzzing/test_image_api.py",
    "tests/faults/test_upgrades.py",
    "tests/functional/jobs/test_job_kills.py",
    KEYSTONE,
    SWIFT,
    "tests/functional/stores/test_absent_stores.py",
    "tests/functional/stores/test_hanging_store.py",
    "tests/functional/server/test_workers.py",
    "tests/functional/jobs/test_job_worker.py",
)
PROCESSORS = len(os.sched_getaffinity(0))
NEVER_WAIT = ("tests/contracts/", "tests/unit/")  # those of the documentation call services
GROUPS = {
    "tests/contracts/streams/test_trees.py": SWIFT,
    "tests/faults/test_upgrades.py": IN_PARTS,
    "tests/functional/images/imports/test_import_crashes.py": IN_PARTS,
    "tests/functional/jobs/test_job_kills.py": IN_PARTS,
    "tests/fuzzing/test_image_api.py": IN_PARTS,
    "tests/torture/test_kills.py": IN_PARTS,
    # Half a second without an answer of the database is a row that somebody holds.
    "tests/contracts/images/test_project_quotas.py": ALONE,
    "tests/faults/test_database_deaths.py::test_a_row_that_a_stranger_holds_costs_only_those_who_want_it": WAITS,
    "tests/faults/test_database_deaths.py::test_a_server_that_stands_still_keeps_nobody_waiting": WAITS,
    "tests/faults/test_service_and_database.py": WAITS,
    f"{CONNECTIONS}::test_a_refusal_does_not_wait_for_the_body": ALONE,
    f"{CONNECTIONS}::test_a_worker_stops_at_once_when_only_idle_connections_are_left": ALONE,
    "tests/functional/fetching/test_fetch.py::test_a_reader_that_is_slow_itself_is_not_the_servers_fault": ALONE,
    "tests/functional/fetching/test_fetch.py::test_a_server_that_drips_or_is_silent_holds_nobody_for_long": ALONE,
    "tests/functional/fetching/test_fetch.py::test_data_that_comes_too_slowly_is_an_error": ALONE,
    "tests/functional/images/test_unseen_images.py::test_time_does_not_tell_them_apart": ALONE,
    "tests/functional/server/test_workers.py::test_a_worker_that_stands_still_is_replaced": WAITS,
    "tests/functional/client/test_commands_with_proof.py": KEYSTONE,
    "tests/functional/identity/test_identity.py": KEYSTONE,
    "tests/functional/images/imports/test_import_attacks.py": KEYSTONE,
    "tests/functional/identity/test_keystone_limits.py": KEYSTONE,
    "tests/functional/images/imports/test_glance_download.py": KEYSTONE,
    "tests/functional/instances/test_openstack_source.py": KEYSTONE,
    "tests/functional/streams/copying/test_publish_feeds.py": KEYSTONE,
    "tests/functional/images/test_sharing.py": KEYSTONE,
    "tests/functional/images/test_signatures.py": KEYSTONE,
    "tests/functional/streams/views/test_streams_keystone.py": KEYSTONE,
    "tests/functional/streams/looking/test_streams_search.py": KEYSTONE,
    "tests/functional/instances/guests/test_vendor_data.py": KEYSTONE,
    "tests/functional/activity/test_notifications.py": "rabbitmq",
    "tests/functional/activity/test_notifications_tls.py": "rabbitmq",
}


class FilesSideBySide(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives files to processes as ``next_of`` tells, then what ``WAITS``.

    The last process that is left gets what runs ``ALONE``.
    """

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        # By the number of their tests, the few long ones would come last, and keep one process long after the others.
        config.option.loadscopereorder = False

    def remove_node(self, node: WorkerController) -> str | None:
        """Give the rest of a dead process to others; return the test of which it died, which is not run again."""
        units = self.assigned_work.pop(node)
        left = [(unit, test) for unit in units.values() for test, is_done in unit.items() if not is_done]
        if not left:
            return None
        unit, test = left[0]
        unit[test] = True
        self.workqueue.update({scope: unit for scope, unit in units.items() if not all(unit.values())})
        for each in self.nodes:
            self._reschedule(each)
        return str(test)

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        test, _, parameters = nodeid.partition("[")
        group = GROUPS.get(test) or GROUPS.get(file) or file
        if group == IN_PARTS:
            return f"{file}[{parameters}"
        if group != WAITS:
            return group
        # A whole file waits on each database by itself; single tests of a file load theirs as well, one by one.
        return f"{WAITS}: {file}[{parameters}" if file in GROUPS else f"{WAITS}: {file}"

    def _reschedule(self, node: WorkerController) -> None:
        if node not in self.registered_collections:
            return  # it takes the place of a dead one, and does not know the tests yet; it is asked again then
        if list(self.workqueue) == [ALONE]:
            self._assign_alone(node)
        else:
            super()._reschedule(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if list(self.workqueue) == [ALONE]:
            self._assign_alone(node)
            return
        others = (self.assigned_work[each] for each in self.nodes if each is not node and each in self.assigned_work)
        waiting = sum(any(waits(scope) and not all(unit.values()) for scope, unit in work.items()) for work in others)
        scope = next_of(self.workqueue, may_wait=waiting < max(1, len(self.nodes) - PROCESSORS))
        self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _assign_alone(self, node: WorkerController) -> None:
        """Let ``node`` end after what it has, unless no other stays; who stays gets the rest when others are done."""
        staying = [each for each in self.nodes if each in self.registered_collections and not each.shutting_down]
        if node in staying and len(staying) > 1:
            node.shutdown()
            staying.remove(node)
        others = [self.assigned_work[each] for each in self.nodes if each not in staying]
        if len(staying) == 1 and not any(map(self._pending_of, others)):
            super()._assign_work_unit(staying[0])


def waits(scope: str) -> bool:
    """Whether tests of this file, or group, wait for services and clocks."""
    return not scope.startswith(NEVER_WAIT)


def next_of(scopes: Iterable[str], *, may_wait: bool) -> str:
    """Return which of ``scopes`` comes next: one that waits if it ``may``, and none that does if it may not.

    Where there is no such, it is one of the others; what ``WAITS`` comes behind all of them, and ``ALONE`` last.
    """
    files = [(scope, scope.partition("[")[0]) for scope in scopes]

    def place(each: tuple[str, str]) -> tuple[bool, bool, bool, int]:
        scope, file = each
        first = FIRST.index(file) if file in FIRST else len(FIRST)
        return scope == ALONE, scope.startswith(WAITS), waits(scope) is not may_wait, first

    return min(files, key=place)[0]


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Let the processes share what has to be done once in a checkout; each would do all of it in the same moment."""
    process = getattr(session.config, "workerinput", None)
    if process is None or sys.dont_write_bytecode:
        return
    number, processes = int(process["workerid"].removeprefix("gw")), process["workercount"]
    folders = [session.config.invocation_params.dir / place for place in session.config.args]
    files = sorted(file for folder in folders for file in folder.rglob("test_*.py"))
    rewrite_asserts(files[number % processes :: processes], session.config)


def rewrite_asserts(files: Sequence[Path], config: pytest.Config) -> None:
    """Compile files of tests as pytest does, and keep the result where it looks for it, unless it has one there."""
    for file in files:
        kept = rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"
        if kept.exists() or not rewrite.try_makedirs(kept.parent):
            continue
        with contextlib.suppress(SyntaxError):  # which the collection tells
            source, code = rewrite._rewrite_test(file, config)
            rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, source, kept)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesSideBySide:
    return FilesSideBySide(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return three more than there are processors, as a test often waits; none when there is one file to run."""
    if len(config.args) == 1 and Path(config.args[0].partition("::")[0]).is_file():
        return 0
    return PROCESSORS + 3
