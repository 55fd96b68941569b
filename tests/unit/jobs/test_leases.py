from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from headwater.jobs import leases
from headwater.jobs.leases import Life


def writer_of(pid: int) -> str:
    place = leases.writer_name().partition("/")[0]
    return f"{place}/{pid}/{leases._started(pid)}"


def test_this_process_lives() -> None:
    assert not leases.is_dead(leases.writer_name())
    assert leases.writer_name() == leases.writer_name() == writer_of(os.getpid())


def test_a_process_that_ended_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    writer = writer_of(process.pid)
    assert not leases.is_dead(writer)
    process.communicate(b"\n")
    assert leases.is_dead(writer)


def test_a_process_that_was_killed_is_dead_before_its_parent_looks() -> None:
    """A zombie; in a container whose process 1 reaps nobody it stays one."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    writer = writer_of(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert leases.is_dead(writer)
    process.communicate()


def test_another_process_with_the_same_number_is_not_the_writer() -> None:
    place = leases.writer_name().partition("/")[0]
    assert leases.is_dead(f"{place}/{os.getpid()}/1")


def test_what_runs_elsewhere_cannot_be_told_to_be_dead() -> None:
    _, _, process = leases.writer_name().partition("/")
    for place in ("another-boot:1", "", "unknown-5"):
        assert not leases.is_dead(f"{place}/{process}")
        assert not leases.is_dead(f"{place}/999999999/1")


def test_a_name_that_makes_no_sense_here_is_dead() -> None:
    place = leases.writer_name().partition("/")[0]
    for process in ("", "x/y", "/", "-1/5", "999999999/5"):
        assert leases.is_dead(f"{place}/{process}")


def test_a_process_that_lives_here_is_seen_to_live_also_while_it_stands_still() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    writer = writer_of(process.pid)
    assert leases.life_of(writer) is Life.ALIVE
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert leases.life_of(writer) is Life.ALIVE
    process.kill()
    process.communicate()
    assert leases.life_of(writer) is Life.DEAD


def test_what_runs_elsewhere_is_unknown() -> None:
    _, _, process = leases.writer_name().partition("/")
    assert leases.life_of(f"another-boot:1/{process}") is Life.UNKNOWN


def test_a_lease_counts_only_where_the_writer_cannot_be_seen() -> None:
    now = time.time_ns() // 1000
    here, elsewhere = leases.writer_name(), "another-boot:1/5/5"
    gone = f"{here.rpartition('/')[0]}/1"
    assert not leases.is_free(here, now - 600_000_000, now)
    assert leases.is_free(gone, now + 600_000_000, now)
    assert leases.is_free(elsewhere, now - 1, now)
    assert not leases.is_free(elsewhere, now, now)
