"""Rows of a query, printed in the forms that people and programs read.

Nothing is printed before the last row is known: what is read later may turn out to be forged or broken, and half an
answer looks like a whole one. Rows wait in memory, or in a file without a name when they are many.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Final, cast

import msgspec

from headwater.cli import output
from headwater.errors import SettingsError, TooLarge

Row = Mapping[str, str]

_FIRST_COLUMNS: Final = ("content_id", "product_name", "version_name", "item_name")
_TABLE_COLUMNS: Final = ("product_name", "version_name", "item_name")
_IN_MEMORY: Final = 16 << 20  # bytes
_MOST: Final = 4 << 30  # bytes
_PIECE: Final = 1 << 20  # bytes
_PLACE: Final = re.compile(r"%(?:\((?P<key>[^()]+)\)(?P<width>-?[0-9]{0,3})s|(?P<percent>%)|)")


class Form(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class FormatStringUnusable(SettingsError):
    """A format string has a place that is none."""

    def __init__(self, text: str, position: int) -> None:
        super().__init__(
            f"format string {text!r}: character {position + 1}: write %(KEY)s for a value, %(KEY)-20s for one of "
            "20 characters at least, and %% for a percent sign"
        )
        self.text, self.position = text, position


class TooManyRows(TooLarge):
    """The rows have more bytes than are kept until they can be printed."""

    def __init__(self) -> None:
        super().__init__(f"the rows have more than {_MOST >> 30} GiB; choose fewer with filters or --fields")


def say(rows: Iterable[Row], form: Form, fields: Sequence[str] = (), format_string: str | None = None) -> int:
    """Print rows, and return how many there are.

    Args:
        fields: The keys that are printed, in their order. Default: all; in a table the names, and the id or path.
        format_string: Makes one line of each row; then ``form`` and ``fields`` say nothing.

    Raises:
        FormatStringUnusable, TooManyRows: As they say.
    """
    if format_string is not None:
        return _say_lines(rows, _line(format_string))
    if fields:
        rows = ({key: row[key] for key in fields if key in row} for row in rows)
    if form is Form.JSONL:
        return _say_lines(rows, _encoded)
    if form is Form.JSON:
        return _say_json(rows)
    return _say_columns(rows, form, fields)


def _say_lines(rows: Iterable[Row], line: Callable[[Row], bytes]) -> int:
    with _kept() as kept:
        count = _fill(kept, (line(row) + b"\n" for row in rows))
        _print(kept)
    return count


def _say_json(rows: Iterable[Row]) -> int:
    with _kept() as kept:
        count = _fill(kept, ((b",\n  " if number else b"[\n  ") + _encoded(row) for number, row in enumerate(rows)))
        kept.write(b"\n]\n" if count else b"[]\n")
        _print(kept)
    return count


def _say_columns(rows: Iterable[Row], form: Form, fields: Sequence[str]) -> int:
    """Print rows in columns, which are known only when all rows are."""
    found: dict[str, None] = {}

    def noted() -> Iterator[bytes]:
        for row in rows:
            found.update(dict.fromkeys(row))
            yield _encoded(row) + b"\n"

    with _kept() as kept:
        count = _fill(kept, noted())
        kept.seek(0)
        again = (msgspec.json.decode(line, type=dict[str, str]) for line in kept)
        if form is Form.CSV:
            first = [key for key in _FIRST_COLUMNS if key in found]
            columns = fields or [*first, *sorted(key for key in found if key not in _FIRST_COLUMNS)]
            writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(again)
        else:
            columns = fields or [*_TABLE_COLUMNS, *(key for key in ("region", "id", "path") if key in found)]
            output.say_table(columns, ([row.get(key, "") for key in columns] for row in again), are_keys=True)
    return count


@contextmanager
def _kept() -> Iterator[BinaryIO]:
    with SpooledTemporaryFile(_IN_MEMORY) as kept:
        yield cast(BinaryIO, kept)


def _fill(kept: BinaryIO, lines: Iterable[bytes]) -> int:
    count = size = 0
    for count, line in enumerate(lines, 1):  # noqa: B007  # how many there were
        kept.write(line)
        size += len(line)
        if size > _MOST:
            raise TooManyRows
    return count


def _encoded(row: Row) -> bytes:
    try:
        return msgspec.json.encode(row)
    except UnicodeEncodeError:  # half of a character, which JSON can escape and no text can hold
        return msgspec.json.encode({key: _whole(value) for key, value in row.items()})


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _print(kept: BinaryIO) -> None:
    kept.seek(0)
    sys.stdout.flush()
    while piece := kept.read(_PIECE):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _line(format_string: str) -> Callable[[Row], bytes]:
    """Return what makes a line of a row; a key that it does not have is an empty text.

    Raises:
        FormatStringUnusable: It has a ``%`` that begins nothing.
    """
    for each in _PLACE.finditer(format_string):
        if each[0] == "%":
            raise FormatStringUnusable(format_string, each.start())

    def line(row: Row) -> bytes:
        def filled(place: re.Match[str]) -> str:
            if place["percent"]:
                return "%"
            width, value = int(place["width"].strip("-") or 0), row.get(place["key"], "")
            return value.ljust(width) if place["width"].startswith("-") else value.rjust(width)

        return _whole(_PLACE.sub(filled, format_string)).encode()

    return line
