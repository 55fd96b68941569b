"""``tools/bench.py --only rbd`` still measures the store beside the program ``rbd``, on a Ceph of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from needs import CHECKOUT


def test_the_store_is_measured_beside_the_program(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    small = ("--only", "rbd", "--rounds", "1", "--store-size", "9M")
    where = ("--data-dir", tmp_path / "room", "--output", tmp_path)
    command: list[str | Path] = [sys.executable, CHECKOUT / "tools" / "bench.py", *small, *where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("bench-*.json")
    figures = {each["name"]: each for each in json.loads(file.read_bytes())["figures"]}
    for way in ("upload", "download"):
        assert figures[f"store rbd, {way}"]["beside"] == f"the program rbd alone, {way}"
        assert figures[f"store rbd, {way}"]["median"] > 0
    assert list((tmp_path / "room").iterdir()) == []
