"""A program on a file of somebody else can do little besides, and ends when it should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.images.imports.plugins import confined
from headwater.images.imports.plugins.confined import Bounds, ProgramFailed

MIB = 1 << 20
BOUNDS = Bounds(memory=512 * MIB, processor_s=10, file_size=MIB, time_s=30)


def python(code: str, directory: Path, bounds: Bounds = BOUNDS, **more: object) -> str:
    return confined.run([sys.executable, "-c", code], directory, bounds, **more).decode()  # type: ignore[arg-type]


def test_its_output_is_returned(tmp_path: Path) -> None:
    assert python("import os; print(os.getcwd())", tmp_path).strip() == str(tmp_path)


def test_it_sees_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_SECRET", "s3cret")
    said = python("import os; print(sorted(os.environ))", tmp_path)
    assert "HEADWATER_SECRET" not in said
    assert "HOME" not in said


def test_it_has_no_input_and_no_files_of_ours(tmp_path: Path) -> None:
    with (tmp_path / "ours").open("wb") as ours:
        os.set_inheritable(ours.fileno(), True)
        assert python("import os, sys; print(sys.stdin.read(), os.listdir('/proc/self/fd'))", tmp_path).strip() == (
            "['0', '1', '2', '3']"
        )


def test_it_has_no_network(tmp_path: Path) -> None:
    if not confined._without_network():
        pytest.skip("this system lets nobody make a network of his own")
    ours = str(Path("/proc/self/ns/net").readlink())
    code = "import os; print(os.readlink('/proc/self/ns/net'), open('/proc/net/dev').read().count(':'))"
    theirs, devices = python(code, tmp_path).split()
    assert theirs != ours
    assert devices == "1"  # its own loopback, which is down


@pytest.mark.parametrize("of_its_own", [True, False])
def test_it_has_users_of_its_own_only_where_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, of_its_own: bool
) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "--user", "--net", "true"], check=False).returncode:
        pytest.skip("this system lets nobody make users of his own")
    monkeypatch.setattr(confined, "_without_network", lambda: (unshare, "--user", "--net", "--"))
    ours = Path("/proc/self/ns/user").readlink()
    said = python("import os; print(os.readlink('/proc/self/ns/user'))", tmp_path, users_of_its_own=of_its_own)
    assert (said.strip() != str(ours)) is of_its_own


def test_its_memory_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="MemoryError"):
        python(f"bytearray({600 * MIB})", tmp_path)


def test_as_many_threads_as_qemu_img_may_want_fit_into_the_least_memory(tmp_path: Path) -> None:
    code = """
import threading
done = threading.Barrier(65)
def work():
    held = [bytes(1000) for _ in range(100)]
    done.wait()
for _ in range(64):
    threading.Thread(target=work).start()
done.wait()
print("all")
"""
    assert python(code, tmp_path, replace(BOUNDS, memory=256 * MIB)) == "all\n"


def test_the_files_that_it_writes_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match=r"File too large|larger than an image may be"):
        python(f"open('out', 'wb').write(bytes({2 * MIB}))", tmp_path)
    assert (tmp_path / "out").stat().st_size <= MIB


def test_its_processor_time_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="more processor time or memory than it may"):
        python("while True: pass", tmp_path, replace(BOUNDS, processor_s=1))


def test_its_time_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="took longer than 1 s"):
        python("import time; time.sleep(60)", tmp_path, replace(BOUNDS, time_s=1))


def test_its_time_is_bounded_when_it_closes_its_output(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="took longer than 1 s"):
        python("import os, time; os.close(1); os.close(2); time.sleep(60)", tmp_path, replace(BOUNDS, time_s=1))


@pytest.mark.parametrize("code", ["print(1, flush=True); ", "import os; os.close(1); os.close(2); "])
def test_it_ends_with_what_it_works_for_and_so_do_its_children(code: str, tmp_path: Path) -> None:
    class Given(Exception):
        pass

    def look(_: str) -> None:
        if (tmp_path / "pid").exists():
            raise Given

    code += (
        "import os, time\n"
        "child = os.fork()\n"
        "if child: open('pid.new', 'w').write(str(child)); os.rename('pid.new', 'pid')\n"
        "time.sleep(60)"
    )
    with pytest.raises(Given):
        python(code, tmp_path, look=look)
    child = int((tmp_path / "pid").read_text())
    stat = Path(f"/proc/{child}/stat")
    ended = threading.Event()
    for _ in range(100):
        if not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            break
        ended.wait(0.05)
    else:
        pytest.fail("its child goes on")


def test_it_says_why_it_failed(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match=r"failed \(3\): the disk is broken"):
        python("import sys; print('the disk is\\n broken', file=sys.stderr); sys.exit(3)", tmp_path)


def test_much_that_it_says_is_not_kept(tmp_path: Path) -> None:
    assert len(python(f"import sys; sys.stdout.write('x' * {8 * MIB})", tmp_path)) <= MIB


def test_a_program_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="the program no-such-program is not installed"):
        confined.run(["no-such-program"], tmp_path, BOUNDS)
