"""What machines are told is what is kept (``kept.py`` says how to write it anew)."""

from __future__ import annotations

import pytest

from beside_nova.kept import DIRECTORY, file_of, text_of
from beside_nova.machines import machines

MACHINES = machines()


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_is_told_what_is_kept(name: str) -> None:
    assert text_of(MACHINES[name]) == file_of(name).read_text()


def test_nothing_is_kept_of_others() -> None:
    assert {file.name for file in DIRECTORY.iterdir()} == {file_of(name).name for name in MACHINES}
