"""The house is as ``docs/how-to/develop.md`` draws it, and no room of it, of its tests or of the tools is crowded."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from needs import CHECKOUT

HOUSE = CHECKOUT / "src" / "headwater"
TESTS = CHECKOUT / "tests"
PAGE = CHECKOUT / "docs" / "how-to" / "develop.md"
MOST = 12  # modules in a folder: more is not seen at one look


def rooms() -> dict[str, Path]:
    """Return every folder of the program, by its path below ``src/headwater``."""
    return {
        str(folder.relative_to(HOUSE)): folder
        for folder in HOUSE.rglob("*")
        if folder.is_dir() and "__pycache__" not in folder.parts and any(each.is_file() for each in folder.iterdir())
    }


def drawn(page: str) -> list[str]:
    """Return the folders of the drawing, each with those around it."""
    block = re.search(r"```text\nsrc/headwater/\n(.*?)```", page, re.DOTALL)
    assert block is not None
    around: list[str] = []
    found = []
    for line in block[1].splitlines():
        indent, name, words = re.fullmatch(r"( +)([a-z0-9_]+)/ +(\S.*)", line).groups()  # type: ignore[union-attr]
        assert words
        del around[len(indent) // 2 - 1 :]
        around.append(name)
        found.append("/".join(around))
    return found


def test_the_drawing_is_the_house() -> None:
    found = drawn(PAGE.read_text())
    assert sorted(found) == sorted(rooms())
    assert found == sorted(found, key=lambda path: path.split("/"))


@pytest.mark.parametrize("house", [HOUSE, TESTS, CHECKOUT / "tools"], ids=["the program", "its tests", "tools"])
def test_no_room_is_crowded(house: Path) -> None:
    counts = Counter(
        str(module.parent.relative_to(CHECKOUT))
        for module in house.rglob("*.py")
        if module.name not in {"__init__.py", "conftest.py"}
    )
    assert counts
    assert {name: count for name, count in counts.items() if count > MOST} == {}


@pytest.mark.parametrize("suite", ["contracts", "functional"])
def test_each_test_of_a_large_suite_stands_in_a_room(suite: str) -> None:
    assert list((TESTS / suite).rglob("test_*.py"))
    assert [file.name for file in (TESTS / suite).glob("test_*.py")] == []


def test_no_room_of_tests_has_the_name_of_a_module_beside_it() -> None:
    assert [str(module) for module in TESTS.rglob("*.py") if module.with_suffix("").is_dir()] == []
