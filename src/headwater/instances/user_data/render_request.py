"""What is asked of the process that renders one template (``rendering.py``), and what it answers."""

from __future__ import annotations

from typing import Any

import msgspec


class Request(msgspec.Struct, kw_only=True):
    """A template, and what it may use of the processor, of memory and of our patience."""

    source: str
    variables: dict[str, Any]
    characters: int  # of what it renders to
    memory: int  # bytes of address space
    processor_s: int


class Answer(msgspec.Struct, kw_only=True):
    """What it has become, or what is wrong with it and in which line, as far as that is known."""

    text: str | None = None
    line: int | None = None
    problem: str | None = None
