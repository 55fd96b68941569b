"""Whatever is killed, and whenever: nothing that was answered is lost, nothing is half, nothing is left.

The run is short, and the same each time but for what chance does to processes. For the long one:
``make test-torture``, which sets ``HEADWATER_TORTURE_KILLS``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from torture.rounds import require_nothing_lost

KILLS = int(os.environ.get("HEADWATER_TORTURE_KILLS", "12"))  # of all databases together
_S_A_KILL = 30  # at the most, the look at everything included


@pytest.mark.slow
@pytest.mark.timeout(120 + KILLS * _S_A_KILL)
def test_nothing_answered_is_lost_and_nothing_half_stays_whatever_is_killed(database_url: str, tmp_path: Path) -> None:
    require_nothing_lost(database_url, tmp_path, rounds=max(1, KILLS // 3), fewest_answers=10 * KILLS)
