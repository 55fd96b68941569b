"""JSON documents kept in rows as text: by releases that know more or less of them, and shown in part by lists.

A document is the one truth. What columns repeat of it, to be searched by, goes stale where a release writes that does
not know them, so what is found by them is held against the document. The database takes out the parts that a list
shows, and the rest is not loaded. Where it cannot, the part is NULL, and who asks reads the document: PostgreSQL takes
nothing out of one that holds a NUL character anywhere, and no database of one that is nested deeper than it likes
(MariaDB: 32).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, String, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


def known(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the document is a field of the dataclass; what another release adds is passed over."""
    return {each.name: document[each.name] for each in fields(kind) if each.name in document}


class part(FunctionElement[str]):  # noqa: N801 - stands in statements as SQL functions do
    """The JSON text of what stands under these keys, one in the other; NULL: the database cannot tell."""

    type = String()
    inherit_cache = True

    def __init__(self, document: ColumnElement[str], *keys: str) -> None:
        """Ask for a part.

        Args:
            document: A column whose text is a JSON object.
            keys: Words of ours: they stand in the statement as they are.
        """
        super().__init__(document, literal_column(f"'{'.'.join(keys)}'"))


class text_part(FunctionElement[str]):  # noqa: N801 - as ``part``
    """The text that stands under these keys; NULL: there is none (``null``), or the database cannot tell."""

    type = String()
    inherit_cache = True

    def __init__(self, document: ColumnElement[str], *keys: str) -> None:
        """Ask for a text, as ``part`` does."""
        super().__init__(document, literal_column(f"'{'.'.join(keys)}'"))


def _terms(element: part | text_part, compiler: SQLCompiler, options: dict[str, Any]) -> tuple[str, str]:
    document, keys = (compiler.process(each, **options) for each in element.clauses)
    return document, keys.strip("'")


@compiles(part, "sqlite")
def _of_sqlite(element: part, compiler: SQLCompiler, **options: Any) -> str:
    document, keys = _terms(element, compiler, options)
    return f"CASE WHEN json_valid({document}) THEN json_quote(json_extract({document}, '$.{keys}')) END"


@compiles(part, "postgresql")
def _of_postgresql(element: part, compiler: SQLCompiler, **options: Any) -> str:
    document, keys = _terms(element, compiler, options)
    there = f"CAST(CAST({document} AS json) #> '{{{keys.replace('.', ',')}}}' AS text)"
    return rf"CASE WHEN strpos({document}, '\u0000') = 0 THEN {there} END"


@compiles(part, "mysql", "mariadb")
def _of_mysql(element: part, compiler: SQLCompiler, **options: Any) -> str:
    document, keys = _terms(element, compiler, options)
    return f"CASE WHEN JSON_VALID({document}) THEN JSON_EXTRACT({document}, '$.{keys}') END"


@compiles(text_part, "sqlite")
def _text_of_sqlite(element: text_part, compiler: SQLCompiler, **options: Any) -> str:
    document, keys = _terms(element, compiler, options)
    return f"CASE WHEN json_valid({document}) THEN json_extract({document}, '$.{keys}') END"


@compiles(text_part, "postgresql")
def _text_of_postgresql(element: text_part, compiler: SQLCompiler, **options: Any) -> str:
    document, keys = _terms(element, compiler, options)
    there = f"CAST({document} AS json) #>> '{{{keys.replace('.', ',')}}}'"
    return rf"CASE WHEN strpos({document}, '\u0000') = 0 THEN {there} END"


@compiles(text_part, "mysql", "mariadb")
def _text_of_mysql(element: text_part, compiler: SQLCompiler, **options: Any) -> str:
    document, keys = _terms(element, compiler, options)
    return f"CASE WHEN JSON_VALID({document}) THEN JSON_VALUE({document}, '$.{keys}') END"
