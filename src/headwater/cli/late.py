"""Commands that are imported when they are asked for: most need what the others do without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

from headwater.garbage import no_garbage_search


class LateGroup(TyperGroup):
    """A group that has, behind its own, the commands and groups that ``places`` names, in this order."""

    places: ClassVar[Mapping[str, str]] = {}  # by name: ``package.module:function`` or ``package.module:app``

    def __init__(self, **attributes: Any) -> None:
        """As ``TyperGroup`` has it."""
        super().__init__(**attributes)
        self.commands = _Commands(self.places, self.commands)


def late(places: Mapping[str, str]) -> type[LateGroup]:
    """Return the group of commands at these places."""
    return type("LateGroup", (LateGroup,), {"places": places})


class _Commands(MutableMapping[str, Any]):
    def __init__(self, places: Mapping[str, str], present: Mapping[str, Any]) -> None:
        self._places = places
        self._present = {**present, **dict.fromkeys(name for name in places if name not in present)}

    def __getitem__(self, name: str) -> Any:
        if self._present[name] is None:
            self._present[name] = _imported(name, self._places[name])
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
