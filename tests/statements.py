"""A statement is written out as SQL once in each run, for all databases of a kind.

An engine keeps the SQL of what it was asked before. Nearly each test has a database of its own, whose engines would
write out the same statements again, which costs more than the answers.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

_MOST = 4000  # statements


class _Statements(LRUCache[Any, Any]):
    """What engines keep, by the statement and by what says how their kind of database has it written."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_for_the_kind(*key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_for_the_kind(*key), value)


def _for_the_kind(dialect: Any, *statement: Any) -> tuple[Any, ...]:
    return type(dialect), dialect.server_version_info, dialect.paramstyle, *statement


def share() -> None:
    """Let each engine of this process that is made from now on use what the others have written."""
    statements = _Statements(_MOST)
    make = Engine.__init__

    def shared(engine: Engine, *arguments: Any, **options: Any) -> None:
        make(engine, *arguments, **options)
        engine._compiled_cache = statements

    Engine.__init__ = shared  # type: ignore[assignment,method-assign]
