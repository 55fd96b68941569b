"""Single parts of JSON documents that are kept as text, so that a list need not load all that it does not show.

The document stays the one truth: nothing of it is kept a second time. The database takes the part out of it. Where it
cannot, the part is NULL, and who asks reads the document: PostgreSQL refuses a document that holds a NUL character
anywhere, and each database those that are nested deeper than it likes (MariaDB: 32).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, String, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


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


def _terms(element: part, compiler: SQLCompiler, options: dict[str, Any]) -> tuple[str, str]:
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
