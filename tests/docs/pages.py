"""The pages of the documentation, and what stands in their fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from needs import CHECKOUT

README = CHECKOUT / "README.md"
DOCS = CHECKOUT / "docs"


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    text: str


def all_pages() -> list[Path]:
    """Return every page that people read."""
    return [README, *sorted(DOCS.rglob("*.md"))]


def section(text: str, title: str) -> str:
    """Return what stands below the heading ``title`` up to the next one of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found[1]


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks in their order."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(language, body) for language, body in found]


def matches(expected: str, output: str) -> str | None:
    """Return the first line of ``expected`` that ``output`` does not show, in order; ``None`` when it shows all.

    Loosely: a line may stand within a longer one, ``…`` is any text, blanks and the sides of tables do not count.
    """
    shown = [_plain(line) for line in output.splitlines()]
    position = 0
    for line in expected.splitlines():
        pattern = re.compile(".*".join(re.escape(part) for part in _plain(line).split("…")))
        while position < len(shown) and not pattern.search(shown[position]):
            position += 1
        if position == len(shown):
            return line
    return None


def _plain(line: str) -> str:
    return " ".join(line.replace("|", " ").split())
