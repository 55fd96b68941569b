"""All that commands print: lines, tables, progress, JSON, and what went wrong.

Data goes to standard output and is the same in a terminal and in a pipe, but for the lines and colours of tables.
Progress shows in terminals only. What went wrong goes to standard error: a sentence, or under ``--json`` one object,

    {"error": {"type": "InstanceNotFound", "message": "there is no instance 'web1'; …", "wanted": "web1"}}

whose ``type`` is a name of docs/reference/errors.md, or ``UsageError``, and whose other keys are facts of that type.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any, TextIO, TypeVar, cast

import msgspec
import typer

from headwater.errors import HeadwaterError

T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_AT_ONCE = 1000
_FOR_HTTP = frozenset({"headers"})  # fields of errors that say nothing here


def say(text: str) -> None:
    """Print lines of text."""
    typer.echo(text)


def say_error(text: str) -> None:
    """Print lines of text to standard error."""
    typer.echo(text, err=True)


def telling(*, as_json: bool) -> Callable[[str], None]:
    """Return what prints to standard error what people should know meanwhile; under ``--json`` it is not printed."""
    return (lambda _text: None) if as_json else say_error


def say_json(document: object) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(document, indent=2))


def say_json_list(documents: Iterable[object]) -> None:
    """Print what ``say_json`` prints of a list, one document at a time: all of them may not fit into memory."""
    _say_list(documents, indent="", ends_line=True)


def say_json_lists(**lists: Iterable[object]) -> None:
    """Print what ``say_json`` prints of an object whose values are lists, each as ``say_json_list`` does, in turn."""
    before = "{"
    for name, documents in lists.items():
        typer.echo(f"{before}\n  {json.dumps(name)}: ", nl=False)
        _say_list(documents, indent="  ", ends_line=False)
        before = ","
    typer.echo("\n}")


def _say_list(documents: Iterable[object], *, indent: str, ends_line: bool) -> None:
    before = "[\n"
    for document in documents:
        typer.echo(before + textwrap.indent(json.dumps(document, indent=2), indent + "  "), nl=False)
        before = ",\n"
    typer.echo("[]" if before == "[\n" else f"\n{indent}]", nl=ends_line)


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, are_keys: bool = False) -> None:
    """Print a table; in a pipe it has one line for each row, however long, and no lines between.

    ``_AT_ONCE`` rows are in memory at a time; columns may have other widths in the next ones.

    Args:
        are_keys: The columns are headed as they are, and not in capitals: people write them so elsewhere.
    """
    from rich import box  # noqa: PLC0415 - `serve` starts without tables and progress
    from rich.console import Console  # noqa: PLC0415 - see say_table
    from rich.table import Table  # noqa: PLC0415 - see say_table
    from rich.text import Text  # noqa: PLC0415 - see say_table

    on_terminal = sys.stdout.isatty()
    console = Console() if on_terminal else Console(width=10_000, soft_wrap=True)
    left = iter(rows)
    some = list(islice(left, _AT_ONCE))
    show_header = True
    while some or show_header:
        table = Table(box=box.SIMPLE if on_terminal else None, show_edge=False, pad_edge=False, show_header=show_header)
        for column in columns:
            table.add_column(column if are_keys else column.upper(), overflow="fold")
        for row in some:
            table.add_row(*(Text(cell) for cell in row))  # what looks like rich's markup is text
        console.print(table)
        some, show_header = list(islice(left, _AT_ONCE)), False


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far the work is, in a terminal; yield what is to be told how much of ``total`` is done."""
    if not sys.stderr.isatty():
        yield lambda _completed: None
        return
    from rich.console import Console  # noqa: PLC0415 - see say_table
    from rich.progress import Progress  # noqa: PLC0415 - see say_table

    # What is printed meanwhile goes above the bar, but for a pipe, which gets it as always.
    with Progress(
        transient=True,
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),
    ) as shown:
        task = shown.add_task(what, total=total)
        yield lambda completed: shown.update(task, completed=completed)


class OutputLost(HeadwaterError):
    """What was to be printed could not be written, as on a disk that is full."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the output could not be written: {reason}")


def open_missing() -> None:
    """Let standard output and standard error be there, where whoever started the program had closed them."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the program runs


@contextmanager
def written() -> Iterator[None]:
    """Write what is printed meanwhile to its end.

    Raises:
        OutputLost: It cannot be written.
    """
    output = sys.stdout
    sys.stdout = marking = cast("TextIO", _Output(output))
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except _NotWritten as error:
        with suppress(OSError):
            output.close()  # otherwise the end of the program would try once more
        if error.errno != errno.EPIPE:  # whoever reads has read enough
            raise OutputLost(error.strerror or str(error)) from error
    finally:
        if sys.stdout is marking:  # else typer has put something there that is quiet until the end
            sys.stdout = output


class _NotWritten(OSError):
    """What standard output says when it cannot be written."""


class _Output:
    """Standard output, or the bytes below it, with errors that tell that they are its own."""

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def buffer(self) -> _Output:
        return _Output(cast("TextIO", self._stream).buffer)

    def write(self, piece: Any) -> int:
        return self._told(lambda: self._stream.write(piece))

    def flush(self) -> None:
        self._told(self._stream.flush)

    def _told(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except OSError as error:
            raise _NotWritten(error.errno, error.strerror) from error


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether a command line asks for JSON, be it right or wrong otherwise."""
    return "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)


def complain(error: HeadwaterError | typer.TyperException, *, as_json: bool) -> None:
    """Say on standard error what went wrong."""
    if as_json:
        typer.echo(json.dumps({"error": _facts(error)}), err=True)
    else:
        typer.echo(f"headwater: {error}", err=True)


def _facts(error: HeadwaterError | typer.TyperException) -> dict[str, Any]:
    if isinstance(error, typer.TyperException):
        return {"type": "UsageError", "message": error.format_message()}
    facts = {name: value for name, value in vars(error).items() if not name.startswith("_") and name not in _FOR_HTTP}
    return {**msgspec.to_builtins(facts, enc_hook=str), "type": type(error).__name__, "message": str(error)}
