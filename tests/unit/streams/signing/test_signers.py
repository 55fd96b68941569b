"""Large texts are signed by a process of their own, which holds up nobody and leaves with who asks."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pysequoia
import pytest

from headwater.streams.signing.process import SigningProcessLost
from headwater.streams.signing.signer import Signer
from headwater.streams.signing.texts import TextNotSignable
from headwater.streams.signing.verifying import verify

SMALL = b'{\n "a": []\n}\n'
LARGE = b'{\n "a": [\n' + b'  "- b",\n' * 40_000 + b'  "c"\n ]\n}\n'

Process = subprocess.Popen[bytes]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """The processes that were started in the test."""
    found: list[Process] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            found.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return found


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("key") / "key.asc"
    file.write_text(str(pysequoia.Tsk.generate("Feed <feed@example.test>")))
    return file


@pytest.fixture
def signer(key_file: Path) -> Iterator[Signer]:
    with contextlib.closing(Signer.load(key_file)) as made:
        yield made


def require_good(signed: bytes, text: bytes, signer: Signer) -> None:
    assert verify(signed, [signer.certificate], datetime.now(UTC)) == text


def test_a_large_text_is_signed_by_one_process_beside_this(signer: Signer, started: list[Process]) -> None:
    require_good(signer.sign(SMALL), SMALL, signer)
    assert started == []
    for text in (LARGE, b"- " + LARGE, LARGE):
        require_good(signer.sign(text), text, signer)
    assert len(started) == 1
    signer.close()
    assert started[0].returncode == 0


def test_a_large_text_that_the_signature_would_not_cover_is_refused(signer: Signer, started: list[Process]) -> None:
    for blank in (b" ", b"\t", b"\r"):
        with pytest.raises(TextNotSignable):
            signer.sign(LARGE + blank + b"\n")
    require_good(signer.sign(LARGE), LARGE, signer)
    assert len(started) == 1


def test_who_asks_for_something_else_does_not_wait_for_a_large_signature(
    signer: Signer, started: list[Process]
) -> None:
    signer.sign(LARGE)
    started[0].send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        try:
            large = pool.submit(signer.sign, LARGE)
            require_good(signer.sign(SMALL), SMALL, signer)
            assert not large.done()
        finally:
            started[0].send_signal(signal.SIGCONT)
        require_good(large.result(), LARGE, signer)


def test_a_process_that_was_killed_is_started_anew(signer: Signer, started: list[Process]) -> None:
    signer.sign(LARGE)
    started[0].kill()
    started[0].wait()
    require_good(signer.sign(LARGE), LARGE, signer)
    assert len(started) == 2


def test_one_that_ends_again_and_again_is_a_failure_to_try_again_later(
    signer: Signer, started: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", shutil.which("false"))
        with pytest.raises(SigningProcessLost, match="look at the log"):
            signer.sign(LARGE)
    assert [process.returncode for process in started] == [1, 1]
    require_good(signer.sign(LARGE), LARGE, signer)


def test_one_that_stands_still_is_ended(
    signer: Signer, started: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    signer.sign(LARGE)
    monkeypatch.setattr("headwater.streams.signing.process._PATIENCE_S", 1.0)
    started[0].send_signal(signal.SIGSTOP)
    require_good(signer.sign(LARGE), LARGE, signer)
    assert started[0].returncode == -signal.SIGKILL


def test_it_goes_on_when_all_processes_are_told_to_stop(signer: Signer, started: list[Process]) -> None:
    signer.sign(LARGE)
    for told in (signal.SIGTERM, signal.SIGINT):
        started[0].send_signal(told)
    require_good(signer.sign(LARGE), LARGE, signer)
    assert len(started) == 1


def test_it_ends_when_who_asks_is_killed(key_file: Path) -> None:
    program = f"""
import os, subprocess
from pathlib import Path
from headwater.streams.signing.signer import Signer

popen = subprocess.Popen
class Told(popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        print(self.pid, flush=True)
subprocess.Popen = Told

Signer.load(Path({str(key_file)!r})).sign(b"text\\n" * 100_000)
os.kill(os.getpid(), {signal.SIGKILL:d})
"""
    read, write = os.pipe()  # also held by the process that signs, so its end is the end of both
    with os.fdopen(read, "rb") as errors:
        killed = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=write, check=False)
        os.close(write)
        assert killed.returncode == -signal.SIGKILL
        assert int(killed.stdout) > 0
        assert errors.read() == b""
