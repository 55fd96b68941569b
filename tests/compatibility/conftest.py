"""The shared service, as the functional tests start it."""

from __future__ import annotations

from functional.conftest import headwater

__all__ = ["headwater"]
