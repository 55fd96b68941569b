"""Commands that are imported when they are asked for: most need what the others do without.

A list of them (``--help``, completion) imports none: what each says of itself is read in its source.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from headwater.garbage import no_garbage_search


class LateGroup(TyperGroup):
    """A group that has, behind its own, the commands and groups that ``places`` names, in this order."""

    places: ClassVar[Mapping[str, str]] = {}  # by name: ``package.module:function`` or ``package.module:app``

    def __init__(self, **attributes: Any) -> None:
        """As ``TyperGroup`` has it."""
        super().__init__(**attributes)
        self.commands = self._late = _Commands(self.places, self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As ``TyperGroup`` has it."""
        with self._late.listed():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """As ``TyperGroup`` has it."""
        with self._late.listed():
            return super().shell_complete(ctx, incomplete)


def late(places: Mapping[str, str]) -> type[LateGroup]:
    """Return the group of commands at these places."""
    return type("LateGroup", (LateGroup,), {"places": places})


class _Commands(MutableMapping[str, Any]):
    def __init__(self, places: Mapping[str, str], present: Mapping[str, Any]) -> None:
        self._places = places
        self._present = {**present, **dict.fromkeys(name for name in places if name not in present)}
        self._is_list = False

    @contextmanager
    def listed(self) -> Iterator[None]:
        """Give what has a name and a help, and does nothing, in place of what is not imported yet."""
        self._is_list = True
        try:
            yield
        finally:
            self._is_list = False

    def __getitem__(self, name: str) -> Any:
        if self._present[name] is None:
            place = self._places[name]
            if self._is_list and (said := help_at(place)) is not None:
                return TyperCommand(name, help=said)
            self._present[name] = _imported(name, place)
        return self._present[name]

    def __contains__(self, name: object) -> bool:
        return name in self._present

    def __setitem__(self, name: str, command: Any) -> None:
        self._present[name] = command

    def __delitem__(self, name: str) -> None:
        del self._present[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._present)

    def __len__(self) -> int:
        return len(self._present)


def help_at(place: str) -> str | None:
    """Return the help of a command or a group without an import of it; ``None``: its source does not tell."""
    module, _, attribute = place.partition(":")
    try:
        spec = find_spec(module)
        source = Path(spec.origin).read_bytes() if spec is not None and spec.origin is not None else b""
        body = ast.parse(source).body
    except (OSError, SyntaxError):
        return None
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            return ast.get_docstring(node)
        if (
            isinstance(node, ast.Assign)
            and [each.id for each in node.targets if isinstance(each, ast.Name)] == [attribute]
            and isinstance(node.value, ast.Call)
        ):
            said = {each.arg: each.value for each in node.value.keywords}.get("help")
            text = said.value if isinstance(said, ast.Constant) else None
            return inspect.cleandoc(text) if isinstance(text, str) else None
    return None


def _imported(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    with no_garbage_search():
        found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)
