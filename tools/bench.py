"""``make bench``: measure this checkout on this machine; see docs/explanation/performance.md."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    checkout = Path(__file__).resolve().parent.parent
    # The benches start the same PostgreSQL and Keystone as the tests.
    sys.path[:0] = [str(checkout), str(checkout / "tests")]
    runpy.run_module("tools.benches", run_name="__main__")
