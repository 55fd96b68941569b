"""The calls of ``docs/how-to/use-feeds-from-python.md``, run in their order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pysequoia

from docs.pages import DOCS, blocks


def test_what_the_page_calls_works(tmp_path: Path) -> None:
    made = pysequoia.Tsk.generate("Image streams <images@example.com>")
    (tmp_path / "simplestreams.asc").write_text(str(made))
    (tmp_path / "simplestreams.pub").write_bytes(bytes(made.extract_certificate()))
    shown = blocks((DOCS / "how-to" / "use-feeds-from-python.md").read_text(encoding="utf-8"))
    assert {block.language for block in shown} == {"python"}
    program = "".join(block.text for block in shown)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "feed/streams/v1/index2.sjson").exists()
