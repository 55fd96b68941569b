"""What ends a run: something did not work. Being slow never does."""

from __future__ import annotations


class BenchFailed(Exception):
    """Something that a bench needs did not work; the message says what."""
