"""The rows of a products document: each item with all that it inherits, as text.

What ``sstream-query`` shows, which its users' scripts rely on: the texts and numbers of the document, the product, the
version and the item, the later over the earlier, then their names. Everything becomes text (``true`` is ``True``);
lists, objects and ``null`` are dropped. Products stand as in the document, versions newest first (as text), items as in
their version.

``_aliases`` holds, by key and value, what an object is given that holds this key with this text: over what it has
itself. It is applied to objects of all levels, in the order of their keys, and to its own, once. A text that it does
not know gives nothing, where ``sstream-query`` breaks off.

Rows that nobody wants are not made: filters ask for single values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headwater.streams.format.json_objects import MalformedDocument, as_object, safe_path
from headwater.streams.query.filters import Filter

Row = dict[str, str]

PRODUCT_NAME: Final = "product_name"
VERSION_NAME: Final = "version_name"
ITEM_NAME: Final = "item_name"
_NOTHING: Final[Mapping[str, Any]] = {}


class Flattened:
    """One products document, asked for rows."""

    def __init__(self, document: object, place: str) -> None:
        """Look at the top of a document.

        Args:
            place: Of the tree, which ``item_url`` begins with.

        Raises:
            MalformedDocument: It has no products, or no such aliases as it should.
        """
        top = as_object(document, "products document")
        if "products" not in top:
            raise MalformedDocument(
                "products document.products",
                "it is missing, so this is no such document; let the index name one that has it",
            )
        self._products = as_object(top["products"], "products")
        self._aliases = Aliases(top.get("_aliases"))
        self._top = self._aliases.texts(top)
        self._place = place

    def rows(self, filters: Sequence[Filter] = (), most_versions: int | None = None) -> Iterator[Row]:
        """Yield the rows that pass all filters.

        Args:
            most_versions: How many versions of each product at most: the newest that have such rows.

        Raises:
            MalformedDocument: A product, version or item is none; the message names it.
            UnsafePath: The path of an item that is wanted leads out of the tree.
        """
        of_product = [each for each in filters if each.key == PRODUCT_NAME]
        of_version = [each for each in filters if each.key == VERSION_NAME]
        of_items = [each for each in filters if each.key not in (PRODUCT_NAME, VERSION_NAME)]
        for product_name, product in self._products.items():
            where = f"products[{json.dumps(product_name)}]"
            above = self._top | self._aliases.texts(as_object(product, where))
            versions = _children(product, "versions", where)
            if not all(each.passes(product_name) for each in of_product):
                continue
            left = most_versions
            for version_name in sorted(versions, reverse=True):
                if left == 0:
                    break
                if not all(each.passes(version_name) for each in of_version):
                    continue
                at = f"{where}.versions[{json.dumps(version_name)}]"
                version = as_object(versions[version_name], at)
                inherited = above | self._aliases.texts(version)
                inherited |= {PRODUCT_NAME: product_name, VERSION_NAME: version_name}
                items = _Items(_children(version, "items", at), inherited, self._aliases, f"{at}.items", self._place)
                count = 0
                for count, row in enumerate(items.rows(of_items), 1):  # noqa: B007  # whether there are any
                    yield row
                if left is not None and count:
                    left -= 1


@dataclass(frozen=True, slots=True)
class _Items:
    """The items of one version; there are hundreds of thousands in a feed, so little is done for each."""

    items: Mapping[str, Any]
    inherited: Row  # of document, product and version; and the names of these
    aliases: Aliases
    where: str
    place: str

    def rows(self, filters: Sequence[Filter]) -> Iterator[Row]:
        by_name = [each for each in filters if each.key == ITEM_NAME]
        conditions = [
            (each.key, each.passes(self.inherited.get(each.key)), each.passes)
            for each in filters
            if each.key != ITEM_NAME
        ]
        # What no alias gives is looked at first: for most items that ends it.
        of_item = [each for each in conditions if each[0] not in self.aliases.gives]
        of_aliases = [each for each in conditions if each[0] in self.aliases.gives]
        given_to, names = self.aliases.given_to, {key: self.inherited[key] for key in (PRODUCT_NAME, VERSION_NAME)}
        for name, item in self.items.items():
            if item.__class__ is not dict:
                as_object(item, self._at(name))
            if of_item and not _pass(item, _NOTHING, of_item):
                continue
            given = given_to(item)
            if of_aliases and not _pass(item, given, of_aliases):
                continue
            if by_name and not all(each.passes(name) for each in by_name):
                continue
            row = self.inherited | _texts({**item, **given} if given else item)
            row |= names
            row[ITEM_NAME] = name
            if "path" in row:
                row["item_url"] = f"{self.place}/{safe_path(row['path'], f'{self._at(name)}.path')}"
            yield row

    def _at(self, name: str) -> str:
        return f"{self.where}[{json.dumps(name)}]"


# A key, whether what is inherited passes, and whether a value does.
_Condition = tuple[str, bool, Callable[[str], bool]]


def _pass(item: Mapping[str, Any], given: Mapping[str, Any], conditions: Sequence[_Condition]) -> bool:
    for key, inherited_passes, passes in conditions:
        value = given[key] if key in given else item.get(key)
        if value is None:
            passed = inherited_passes
        elif value.__class__ is str:
            passed = passes(value)
        else:
            passed = passes(str(value)) if isinstance(value, int | float) else inherited_passes
        if not passed:
            return False
    return True


class Aliases:
    """What objects are given for a key and a text that they hold."""

    def __init__(self, tables: object) -> None:
        """Read ``_aliases``.

        Raises:
            MalformedDocument: It is no table of tables of objects.
        """
        read = {} if tables is None else as_object(tables, "_aliases")
        self._tables = {
            key: {
                text: dict(as_object(given, f"_aliases[{json.dumps(key)}][{json.dumps(text)}]"))
                for text, given in as_object(table, f"_aliases[{json.dumps(key)}]").items()
            }
            for key, table in read.items()
        }
        for table in self._tables.values():
            for each in table.values():
                each.update(self.given_to(each))
        self.gives = frozenset(key for table in self._tables.values() for each in table.values() for key in each)

    def given_to(self, each: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what goes over the values of an object."""
        given: Mapping[str, Any] = _NOTHING
        tables = self._tables
        for key in each if len(tables) > 1 else tables:
            if key in tables and key in each:
                text = given[key] if key in given else each[key]
                if text.__class__ is str and text in tables[key]:
                    given = {**given, **tables[key][text]} if given else tables[key][text]
        return given

    def texts(self, each: Mapping[str, Any]) -> Row:
        """Return the values of an object that are inherited, as text."""
        return _texts({**each, **self.given_to(each)})


def _texts(values: Mapping[str, Any]) -> Row:
    texts = {}
    for key, value in values.items():
        if value.__class__ is str:
            texts[key] = value
        elif isinstance(value, int | float):
            texts[key] = str(value)
    return texts


def _children(parent: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    found = parent.get(key)
    return {} if found is None else as_object(found, f"{where}.{key}")
