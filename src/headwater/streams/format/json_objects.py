"""JSON objects, read and written with care: what ``documents.py`` is made from.

A reader is told the place (``where``) of what it reads, and every error names it. Paths are checked as they are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

from headwater.errors import WrongContent

Child = TypeVar("Child")

_BOM = b"\xef\xbb\xbf"


class MalformedDocument(WrongContent):
    """A document that is no simplestreams document of the kind expected."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"simplestreams document: {where}: {problem}")
        self.where, self.problem = where, problem


class UnsafePath(MalformedDocument):
    """A ``path`` that could lead out of the tree in which the document stands."""


def safe_path(path: str, where: str = "path") -> str:
    """Return ``path`` when it stays below the root of the mirror, whoever joins it to what.

    Raises:
        UnsafePath: It is empty, absolute, has a ``..`` segment (also percent-encoded, also as the last one), a
            scheme, a backslash, a control character or what is no character.
    """
    for form in (path, unquote(path)):
        if not form:
            raise UnsafePath(where, "the path is empty; write it relative to the root of the tree")
        if form.startswith("/"):
            raise UnsafePath(where, f"the path {path!r} begins with '/'; it must be relative to the mirror's root")
        if ".." in form.split("/"):
            raise UnsafePath(where, f"the path {path!r} has a '..' segment; write it relative to the root of the tree")
        if "\\" in form or any(ord(c) < 0x20 or ord(c) == 0x7F for c in form):
            raise UnsafePath(
                where,
                f"the path {path!r} holds a backslash or a control character; write it with /",
            )
        if _LONE_SURROGATE.search(form):
            raise UnsafePath(where, f"the path {path!r} holds half of a character, which no text in UTF-8 has")
        if _SCHEME.match(form):
            raise UnsafePath(where, f"the path {path!r} begins with a scheme; it must be relative to the mirror's root")
    return path


_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Source: RFC 3986 section 4.2: the first segment of a relative reference holds no colon.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """Return the JSON text: ASCII only, keys in the order given, one newline at the end.

    ASCII because the simplestreams tools cut a signed text with ``str.splitlines``, for which U+0085 and U+2028 are
    ends of lines. No line begins with a dash or ends in a space, so a signature covers every byte.
    """
    return json.dumps(document, ensure_ascii=True, allow_nan=False, indent=1).encode("ascii") + b"\n"


def member(name: str, value: object, depth: int) -> bytes:
    """Return one member of an object as ``to_bytes`` writes it ``depth`` objects deep, without the comma after it."""
    text = json.dumps({name: value}, ensure_ascii=True, allow_nan=False, indent=1)
    lines = text[len("{\n ") : -len("\n}")]
    return " ".encode("ascii") * depth + lines.replace("\n", "\n" + " " * (depth - 1)).encode("ascii")


def filled(text: bytes, name: str, depth: int, members: Iterable[bytes]) -> bytes:
    """Return ``text`` as ``to_bytes`` would have written it with ``members`` in an object or list that is empty in it.

    What has thousands of members is made so of their texts, which are kept, in less time than it is sent.

    Args:
        name: The key of the object or list; the only empty one of this name as deep as this.
        depth: In how many objects it stands.
    """
    inside = list(members)
    if not inside:
        return text
    indent = " " * depth
    before, key, after = text.partition(f"\n{indent}{json.dumps(name)}: ".encode("ascii"))
    opening, closing, after = after[:1], after[1:2], after[2:]
    inside[0] = before + key + opening + b"\n" + inside[0]
    inside[-1] += b"\n" + indent.encode("ascii") + closing + after
    return b",\n".join(inside)


def parse_json(body: bytes) -> Any:
    """Return what the JSON text ``body`` says.

    Raises:
        MalformedDocument: It is not JSON in UTF-8, or an object names a key twice (readers disagree on such a text).
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except _Twice:
        raise _twice(body) from None
    except UnicodeDecodeError as error:
        raise MalformedDocument("top", f"it is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except RecursionError as error:
        raise MalformedDocument("top", "it is nested too deeply; publish it anew, whole") from error
    except json.JSONDecodeError as error:
        problem = f"it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}; publish it anew, whole"
        if body.startswith(_BOM):
            problem = "it is not JSON: it begins with a byte order mark; save it as UTF-8 without (the bytes EF BB BF)"
        elif body.lstrip()[:1] == b"<":
            problem = (
                "it is not JSON but a web page, such as one to log in or one that tells of an error; let the server "
                "give the document itself"
            )
        raise MalformedDocument("top", problem) from error
    except ValueError as error:  # a number of thousands of digits
        raise MalformedDocument("top", "it holds a number that is too long; write it as a string") from error


class _Twice(Exception):
    """An object names a key twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


class _Doubled(dict[str, Any]):
    """An object that names a key twice."""

    twice: str


def _noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    doubled = _Doubled(found)
    doubled.twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # that is why
    return doubled


def _twice(body: bytes) -> MalformedDocument:
    """Read a document once more, to say where in it a key stands twice."""
    try:
        found = _doubled(json.loads(body, object_pairs_hook=_noted), "")
    except (ValueError, RecursionError):  # it is no JSON further on
        found = None
    where, key = found or ("", "")
    which = f"the object has the key {key!r} twice" if found else "an object has a key twice"
    return MalformedDocument(where.lstrip(".") or "top", f"{which}; keep one of them")


def _doubled(value: Any, where: str) -> tuple[str, str] | None:
    """Return where the first object stands that names a key twice, and that key."""
    if isinstance(value, _Doubled):
        return where, value.twice
    if isinstance(value, dict):
        inside = ((f"{where}.{key}" if key.isidentifier() else f"{where}[{json.dumps(key)}]", each)
                  for key, each in value.items())  # fmt: skip
    elif isinstance(value, list):
        inside = ((f"{where}[{number}]", each) for number, each in enumerate(value))
    else:
        return None
    return next((found for at, each in inside if (found := _doubled(each, at))), None)


def _no_constant(name: str) -> Any:
    raise MalformedDocument("top", f"it is not JSON: {name} is no JSON number; leave the key out where there is none")


class JsonObject:
    """One JSON object being read: hands out typed values and notes which keys were known."""

    def __init__(self, data: object, where: str) -> None:
        self._data = as_object(data, where)
        self._where = where
        self._known: set[str] = set()

    def text(self, key: str) -> str | None:
        value = self._get(key)
        return None if value is None else as_text(value, self._at(key))

    def path(self) -> str | None:
        value = self.text("path")
        return None if value is None else safe_path(value, self._at("path"))

    def format(self, expected: str) -> str | None:
        value = self.text("format")
        if value not in (None, expected):
            raise MalformedDocument(
                self._at("format"),
                f"it is {value!r}, expected {expected!r}; let the index name a document of that format",
            )
        return value

    def size(self) -> int | str | None:
        value = self._get("size")
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            return value
        raise MalformedDocument(self._at("size"), "expected a number of bytes; write a whole number")

    def list_of(self, key: str, read: Callable[[object, str], Child]) -> tuple[Child, ...] | None:
        value = self._get(key)
        return None if value is None else as_list(value, self._at(key), read)

    def children(self, key: str, read: Callable[[object, str], Child]) -> dict[str, Child]:
        value = self._get(key)
        if value is None:
            return {}
        at = self._at(key)
        return {name: read(child, f"{at}[{json.dumps(name)}]") for name, child in as_object(value, at).items()}

    def required_children(self, key: str, read: Callable[[object, str], Child]) -> dict[str, Child]:
        if self._data.get(key) is None:
            raise MalformedDocument(
                self._at(key), "it is missing, so this is no such document; let the index name one that has it"
            )
        return self.children(key, read)

    def rest(self) -> dict[str, Any]:
        """Return the keys that nobody asked for, those that hold ``null``, and the order of all; ask last."""
        extra = {name: value for name, value in self._data.items() if name not in self._known or value is None}
        return {"extra": extra, "order": tuple(self._data)}

    def _get(self, key: str) -> Any:
        self._known.add(key)
        return self._data.get(key)

    def _at(self, key: str) -> str:
        return f"{self._where}.{key}"


_DIGITS = re.compile(r"[0-9]{1,20}")


def as_object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedDocument(where, f"expected an object, found {_kind(value)}; write it as an object")
    return value


def as_text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise MalformedDocument(where, f"expected a string, found {_kind(value)}; write it as a string")
    return value


def as_list(value: object, where: str, read: Callable[[object, str], Child]) -> tuple[Child, ...]:
    if not isinstance(value, list):
        raise MalformedDocument(where, f"expected a list, found {_kind(value)}; write it as a list")
    return tuple(read(child, f"{where}[{position}]") for position, child in enumerate(value))


def _kind(value: object) -> str:
    kinds = {bool: "true or false", dict: "an object", list: "a list", str: "a string", type(None): "null"}
    return kinds.get(type(value), "a number")


def in_order(known: Mapping[str, Any], extra: Mapping[str, Any], order: tuple[str, ...] | None) -> dict[str, Any]:
    """Return the object: keys as they stood when read, then new known ones, then new unknown ones."""
    present = {name: value for name, value in known.items() if value is not None}
    values = {**extra, **present}
    names = dict.fromkeys([*(name for name in order or () if name in values), *present, *extra])
    return {name: values[name] for name in names}
