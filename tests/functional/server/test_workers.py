"""Workers that stand still, are killed again and again, or whose background work ends; and what killed ones leave."""

from __future__ import annotations

import os
import re
import signal
import textwrap
import time
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.conftest import FreshHeadwater
from functional.headwater_process import HeadwaterProcess, wait_until

IMPATIENT = "[server]\nworker_timeout_s = 4\n"
ENDED, STILL = "a worker ended and is replaced", "a worker stands still and is killed"


def events(service: HeadwaterProcess, name: str) -> list[int]:
    """Return the workers that the log tells this of."""
    return [int(event["pid"]) for event in service.logs() if event["event"] == name]


def require_all_answer(service: HeadwaterProcess) -> None:
    for _ in range(20):  # each on a connection of its own: any worker may get it
        assert httpx.get(f"{service.images_url}/v2/images", timeout=5).status_code == 200


def test_a_worker_that_stands_still_is_replaced(fresh_headwater: FreshHeadwater) -> None:
    service = fresh_headwater(workers=2, toml=IMPATIENT)
    still, other = service.workers()
    os.kill(still, signal.SIGSTOP)
    wait_until(lambda: still not in service.workers() and len(service.workers()) == 2, "it is replaced")
    assert other in service.workers()
    wait_until(lambda: events(service, ENDED) == [still], "the log tells of its end")
    assert events(service, STILL) == [still]
    time.sleep(1)  # the new one listens
    require_all_answer(service)
    assert service.stop() == 0


def test_a_service_that_was_stopped_as_a_whole_goes_on_with_the_same_workers(fresh_headwater: FreshHeadwater) -> None:
    """As a machine that slept, or a container that was paused."""
    # More patient: what stood still may be in no memory, and take seconds to come back to it.
    service = fresh_headwater(workers=2, toml="[server]\nworker_timeout_s = 6\n")
    before = service.workers()
    os.killpg(service.pid, signal.SIGSTOP)
    time.sleep(10)
    os.killpg(service.pid, signal.SIGCONT)
    time.sleep(7)
    assert service.workers() == before
    require_all_answer(service)
    assert events(service, STILL) == []


def test_workers_that_are_killed_again_and_again_do_not_end_the_service(fresh_headwater: FreshHeadwater) -> None:
    """The kernel does so where memory is short; the other workers go on meanwhile."""
    service = fresh_headwater(workers=2)
    victim, other = service.workers()
    for count in range(1, 8):
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda count=count: len(events(service, ENDED)) == count, "its end is seen")  # type: ignore[misc]
        assert httpx.get(f"{service.images_url}/healthcheck", timeout=20).status_code == 200
        if count < 7:
            wait_until(lambda: len(service.workers()) == 2, "it is replaced")
            (victim,) = set(service.workers()) - {other}
    assert service.is_running()
    assert other in service.workers()
    wait_until(lambda: len(service.workers()) == 2, "it is replaced after a pause that has grown")
    assert service.stop() == 0


def test_a_worker_whose_background_work_ends_says_so_and_is_replaced(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    program = """
        import asyncio, pathlib
        from headwater.server.application import Application
        once, work = pathlib.Path({once!r}), Application.work

        async def breaks(self):
            if not once.exists():
                await asyncio.sleep(2.5)
                once.touch()
                raise SystemError("by surprise")
            await work(self)

        Application.work = breaks
    """
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(program).format(once=str(tmp_path / "once")))
    service = fresh_headwater(env={"PYTHONPATH": str(tmp_path)})
    (before,) = service.workers()
    wait_until(lambda: events(service, ENDED) == [before], "the worker ends")
    wait_until(lambda: len(service.workers()) == 1, "it is replaced")
    (told,) = [event for event in service.logs() if event["event"].startswith("the work beside the requests")]
    assert "by surprise" in str(told)
    (ended,) = [event for event in service.logs() if event["event"] == ENDED]
    assert ended["code"] == 1
    wait_until(lambda: _answers(service), "the new one serves")


def test_a_stop_finds_also_a_worker_that_has_only_just_been_forked(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    program = """
        import pathlib, time
        from headwater.server import worker
        once, forked, work = pathlib.Path({once!r}), pathlib.Path({forked!r}), worker.work

        def is_slow(*arguments, **says):
            if once.exists():
                forked.touch()
                time.sleep(2)
            return work(*arguments, **says)

        worker.work = is_slow
    """
    once, forked = tmp_path / "once", tmp_path / "forked"
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(program).format(once=str(once), forked=str(forked)))
    service = fresh_headwater(env={"PYTHONPATH": str(tmp_path)})
    (before,) = service.workers()
    once.touch()
    os.kill(before, signal.SIGKILL)
    wait_until(forked.exists, "another takes its place")
    assert service.stop(20) == 0  # a worker that missed it goes on until it is killed, 65 s later


@pytest.mark.parametrize(
    ("broken", "error", "told"),
    [
        ("worker.Listener", "OSError(98, 'Address already in use')", "section [server], key 'bind': cannot listen on"),
        ("application.schema.check", "DatabaseUnavailable('the database is away')", "the database is away"),
    ],
)
def test_a_worker_that_cannot_start_says_why_and_the_next_one_serves(
    fresh_headwater: FreshHeadwater, tmp_path: Path, broken: str, error: str, told: str
) -> None:
    program = """
        import pathlib
        from headwater.database.faults import DatabaseUnavailable
        from headwater.server import application, worker
        usual, broken = {broken}, pathlib.Path({file!r})

        def breaks(*arguments, **options):
            if broken.exists():
                broken.unlink()
                raise {error}
            return usual(*arguments, **options)

        {broken} = breaks
    """
    file = tmp_path / "broken"
    text = textwrap.dedent(program).format(broken=broken, file=str(file), error=error)
    (tmp_path / "sitecustomize.py").write_text(text)
    service = fresh_headwater(env={"PYTHONPATH": str(tmp_path)})
    (before,) = service.workers()
    file.touch()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: len(events(service, ENDED)) == 2, "the one in its place ends too")
    wait_until(lambda: _answers(service), "the next one serves")
    (failed,) = [event for event in service.logs() if event["event"] == "a worker cannot start"]
    assert told in failed["error"]
    assert "exception" not in failed


def _answers(service: HeadwaterProcess) -> bool:
    try:
        return httpx.get(f"{service.images_url}/healthcheck").status_code == 200
    except httpx.TransportError:
        return False


# --- What killed ones leave --------------------------------------------------------------------------


def counts(place: Path) -> list[Path]:
    return sorted(place.glob("headwater-metrics-*"))


def test_what_a_killed_service_counted_in_is_removed_at_the_next_start_and_nothing_of_one_that_lives(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    lives = fresh_headwater(env={"TMPDIR": str(temporary)})
    (own,) = counts(temporary)
    killed = fresh_headwater(env={"TMPDIR": str(temporary)})
    for _ in range(3):
        killed.kill()
        killed.start()
        assert len(counts(temporary)) == 2
        assert own in counts(temporary)
    assert lives.stop() == killed.stop() == 0
    assert list(temporary.iterdir()) == []


def test_what_replaced_workers_counted_stays_counted_in_few_files(
    fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    service = fresh_headwater(env={"TMPDIR": str(temporary)})
    for count in range(1, 4):
        for _ in range(10):
            httpx.get(f"{service.images_url}/v2/images").raise_for_status()
        (pid,) = service.workers()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda count=count: len(events(service, ENDED)) == count, "its end is seen")  # type: ignore[misc]
        wait_until(lambda: _answers(service), "the new one serves")
    text = httpx.get(f"{service.images_url}/metrics").text
    (counted,) = re.findall(
        r'^headwater_requests_total\{listener="images",method="GET",status="200"\} (\S+)$', text, re.MULTILINE
    )
    assert float(counted) >= 30
    (directory,) = counts(temporary)
    assert len(list(directory.glob("counter_*.db"))) == 2  # of all that ended, and of the one that lives
