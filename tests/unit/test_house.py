"""The house is as ``docs/how-to/develop.md`` draws it, and no room of it is crowded."""

from __future__ import annotations

import re
from pathlib import Path

from needs import CHECKOUT

HOUSE = CHECKOUT / "src" / "headwater"
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


def test_no_room_is_crowded() -> None:
    counts = {
        name: len([each for each in folder.glob("*.py") if each.name != "__init__.py"])
        for name, folder in {".": HOUSE, **rooms()}.items()
    }
    assert {name: count for name, count in counts.items() if count > MOST} == {}
