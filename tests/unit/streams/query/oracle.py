"""The rows of a products document, made slowly and plainly: what ``Flattened`` is compared with.

Every object is changed as the aliases say, then every item gets what stands above it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def rows(
    document: Mapping[str, Any], wanted: Callable[[dict[str, str]], bool], most_versions: int | None = None
) -> list[dict[str, str]]:
    """Return the rows of which ``wanted`` is true."""
    tables = {
        key: {text: dict(given) for text, given in table.items()}
        for key, table in (document.get("_aliases") or {}).items()
    }

    def expanded(each: Mapping[str, Any]) -> dict[str, Any]:
        whole = dict(each)
        for key in each:
            if key in tables and isinstance(whole[key], str):
                whole.update(tables[key].get(whole[key], {}))
        return whole

    for table in tables.values():
        for text in table:
            table[text] = expanded(table[text])

    found = []
    for product_name, product in document["products"].items():
        versions = 0
        for version_name in sorted(product.get("versions") or {}, reverse=True):
            version = product["versions"][version_name]
            of_version = []
            for item_name, item in (version.get("items") or {}).items():
                row: dict[str, str] = {}
                for level in (document, product, version, item):
                    for key, value in expanded(level).items():
                        if isinstance(value, str | int | float):
                            row[key] = str(value)
                row |= {"product_name": product_name, "version_name": version_name, "item_name": item_name}
                if wanted(row):
                    of_version.append(row)
            if most_versions is None or versions < most_versions:
                found += of_version
            versions += bool(of_version)
    return found
