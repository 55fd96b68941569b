"""The search for garbage, and when there is none: while modules are loaded that make many objects."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_garbage_search() -> Iterator[None]:
    """Load modules without a search for garbage, now or later: what they make stays as long as the process.

    A search looks through all that was loaded before. That is a sixth of the time in which a service starts.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
