"""What a test takes of the processors is counted with what it starts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from needs import CHECKOUT

_TESTS = """
import subprocess, sys, time

def work():
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass

def test_itself(): work()
def test_a_child(): subprocess.run([sys.executable, "-c", {work!r}], check=True)
def test_a_sleep(): time.sleep(0.3)
"""
_WORK = "import time\nwhile time.process_time() < 0.3: pass"


def test_a_file_takes_what_its_tests_and_their_children_take(tmp_path: Path) -> None:
    (tmp_path / "test_idle.py").write_text("def test_nothing(): pass\n")
    (tmp_path / "test_busy.py").write_text(_TESTS.format(work=_WORK))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "processor_seconds", "-p", "no:cacheprovider", "--processor-seconds"],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": str(CHECKOUT / "tests"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    taken = {file: float(seconds) for seconds, file in re.findall(r"^ +([0-9.]+) (\S+)$", done.stdout, re.MULTILINE)}
    assert list(taken) == ["all", "test_busy.py", "test_idle.py"], done.stdout + done.stderr
    assert taken["test_busy.py"] >= 0.5
    assert taken["test_idle.py"] < taken["test_busy.py"]
