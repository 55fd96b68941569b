"""YAML that others wrote, read so that no document ends the program or fills its memory.

PyYAML raises errors of every kind for tags that do not fit (``!!int ''``), and copies what ``<<`` merges, so that a few
lines that merge each other nine times are more than any memory. Both are no YAML here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import yaml

_MOST_MERGED: Final = 10_000  # keys of one mapping
_MERGE: Final = "tag:yaml.org,2002:merge"


class NotYaml(ValueError):
    """A text is no YAML, or more than is read of it. ``problem`` quotes nothing of it."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem, self.line = problem, line


class Document:
    """One document, as nodes with lines, and then as values."""

    def __init__(self, text: str | bytes) -> None:
        """Read ``text``.

        Raises:
            NotYaml: As it says.
        """
        with _told():
            self._loader = yaml.SafeLoader(text)
            self.root = self._loader.get_single_node()
        if self.root is not None:
            _require_bounded(self.root)

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


def loaded(text: str | bytes) -> Any:
    """Return what a document says.

    Raises:
        NotYaml: It is none, or more than is read.
    """
    return Document(text).values()


def _without_quotes(problem: str | None) -> str:
    """Return what PyYAML says, but for the names that it quotes from the document."""
    return re.sub(r"'[^']{2,}'", "…", problem or "it breaks off")


def _require_bounded(root: yaml.Node) -> None:
    """Count the keys that each mapping has when those that it merges are copied into it."""
    sizes: dict[int, int] = {}
    for node in _inner_first(root):
        size = len(node.value)
        for key, value in node.value:
            if key.tag == _MERGE:
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                size += sum(sizes.get(id(each), 0) for each in merged)
        sizes[id(node)] = size
        if size > _MOST_MERGED:
            raise NotYaml("mappings that are merged (<<) grow beyond all bounds", node.start_mark.line + 1)


def _inner_first(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Yield each mapping once, after all that it holds."""
    seen: set[int] = set()
    waiting: list[tuple[yaml.Node, bool]] = [(root, False)]
    while waiting:
        node, is_done = waiting.pop()
        if is_done:
            if isinstance(node, yaml.MappingNode):
                yield node
            continue
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        waiting.append((node, True))
        inner = node.value if isinstance(node, yaml.SequenceNode) else [each for pair in node.value for each in pair]
        waiting += [(each, False) for each in inner]
