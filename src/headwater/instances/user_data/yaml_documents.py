"""YAML that others wrote, read so that no document ends the program or fills its memory.

PyYAML raises errors of every kind for tags that do not fit (``!!int ''``), and copies what ``<<`` merges, so that a few
lines that merge each other nine times are more than any memory. So are a few lists that hold each other nine times by
aliases, as soon as somebody writes them out (as JSON, say). All of it is no YAML here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import yaml

_MOST_MERGED: Final = 10_000  # keys of one mapping
_MOST_WRITTEN: Final = 10_000_000  # values, with aliases written out; a long text counts as several
_TEXT: Final = 16  # characters
_MERGE: Final = "tag:yaml.org,2002:merge"


class NotYaml(ValueError):
    """A text is no YAML, or more than is read of it. ``problem`` quotes nothing of it."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.line = problem, line


class Document:
    """One document, as nodes with lines, and then as values."""

    def __init__(self, text: str | bytes, *, is_written: bool = False) -> None:
        """Read ``text``.

        Args:
            is_written: Whether its values are to be written out; who walks through them once minds no aliases.

        Raises:
            NotYaml: As it says.
        """
        with _told():
            self._loader = yaml.SafeLoader(text)
            self.root = self._loader.get_single_node()
        if self.root is not None:
            _require_bounded(self.root)
            if is_written:
                _require_few(self.root)

    def values(self) -> Any:
        """Return what it says. The nodes have, from then on, what they merge among their own.

        Raises:
            NotYaml: A value is not of the type that its tag names.
        """
        with _told():
            return None if self.root is None else self._loader.construct_document(self.root)


@contextmanager
def _told() -> Iterator[None]:
    """Turn whatever PyYAML raises into ``NotYaml``."""
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYaml(_without_quotes(error.problem), None if mark is None else mark.line + 1) from error
    except RecursionError as error:
        raise NotYaml("it is nested too deeply") from error
    except (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise NotYaml("it holds a character or a value that YAML does not take") from error


def loaded(text: str | bytes, *, is_written: bool = False) -> Any:
    """Return what a document says.

    Args:
        is_written: As of ``Document``.

    Raises:
        NotYaml: It is none, or more than is read.
    """
    return Document(text, is_written=is_written).values()


def _without_quotes(problem: str | None) -> str:
    """Return what PyYAML says, but for the names that it quotes from the document."""
    return re.sub(r"'[^']{2,}'", "…", problem or "it breaks off")


def _require_bounded(root: yaml.Node) -> None:
    """Count the keys that each mapping has when those that it merges are copied into it."""
    sizes: dict[int, int] = {}
    for node in _inner_first(root):
        if isinstance(node, yaml.SequenceNode):
            continue
        size = len(node.value)
        for key, value in node.value:
            if key.tag == _MERGE:
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                size += sum(sizes.get(id(each), 0) for each in merged)
        sizes[id(node)] = size
        if size > max(_MOST_MERGED, len(node.value)):
            raise NotYaml("mappings that are merged (<<) grow beyond all bounds", node.start_mark.line + 1)


def _require_few(root: yaml.Node) -> None:
    """Count the values that each node is with all aliases written out."""
    known: dict[int, int] = {}
    for node in _inner_first(root):
        known[id(node)] = 1 + sum(_written(each, known) for each in _held_by(node))
        if known[id(node)] > _MOST_WRITTEN:
            raise NotYaml("aliases (*) grow beyond all bounds", node.start_mark.line + 1)


def _written(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node is; one that holds itself is none, which whoever writes it out refuses."""
    return 1 + len(node.value) // _TEXT if isinstance(node, yaml.ScalarNode) else known.get(id(node), 0)


def _held_by(node: yaml.CollectionNode) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else [each for pair in node.value for each in pair]


def _inner_first(root: yaml.Node) -> Iterator[yaml.CollectionNode]:
    """Yield each mapping and each list once, after all that it holds."""
    seen: set[int] = set()
    waiting: list[tuple[yaml.Node, bool]] = [(root, False)]
    while waiting:
        node, is_done = waiting.pop()
        if not isinstance(node, yaml.CollectionNode):
            continue
        if is_done:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((node, True))
            waiting += [(each, False) for each in _held_by(node)]
