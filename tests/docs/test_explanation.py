"""The drawings of ``docs/explanation`` name files and folders that are there."""

from __future__ import annotations

import re

import pytest

from docs.pages import DOCS
from needs import CHECKOUT

HOUSE = CHECKOUT / "src" / "headwater"
PAGES = ("the-way-of-an-upload.md", "three-questions.md")
FILE_OR_FOLDER = re.compile(r"(?<![\w./…{])(?:[a-z_0-9]+/)*(?:[a-z_0-9]+\.py|[a-z_0-9]+/)(?![\w{…])")


def places() -> set[str]:
    """Return the end of each path in the house, of whatever length; folders end with a slash."""
    found = set()
    for path in HOUSE.rglob("*"):
        parts = path.relative_to(HOUSE).parts
        for start in range(len(parts)):
            found.add("/".join(parts[start:]) + ("/" if path.is_dir() else ""))
    return found


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_in_the_house(page: str) -> None:
    text = (DOCS / "explanation" / page).read_text()
    drawings = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    named = set(FILE_OR_FOLDER.findall("\n".join([*drawings, *re.findall(r"`([^`\n]+)`", text)])))
    assert len(named) > 8
    assert named - places() == set()
