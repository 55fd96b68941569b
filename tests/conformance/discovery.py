"""Which tests there are: copied to where stestr looks, and loaded in ``.venv-conformance``.

tempest's own discovery loads the tests of every service, which takes longer than many of ours run.
"""

from __future__ import annotations

import importlib.util
import unittest
from pathlib import Path

_PLACES = (
    ("tempest", "api/image", "test*.py"),
    ("tempest", "scenario", "test_unified_limits.py"),
    ("glance_tempest_plugin", "tests", "test*.py"),
)


def load_tests(loader: unittest.TestLoader, _tests: unittest.TestSuite, _pattern: str | None) -> unittest.TestSuite:
    """Load them (the protocol of unittest)."""
    suite = unittest.TestSuite()
    for package, below, pattern in _PLACES:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        home = Path(spec.origin).parent
        suite.addTests(loader.discover(str(home / below), pattern, top_level_dir=str(home.parent)))
    return suite
