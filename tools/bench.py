"""``make bench``: measure this checkout on this machine; see docs/explanation/performance.md."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    runpy.run_module("tools.benches", run_name="__main__")
