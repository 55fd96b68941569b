"""``headwater metadefs``: metadata definitions between files and the catalogue.

The commands work on the catalogue itself, so they do not need a running server, and a running one
answers by the change at once. A file is one namespace, in the form of Glance's own definition files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.catalogue import opened
from headwater.cli.output import AsJson
from headwater.clock import now
from headwater.errors import SettingsError
from headwater.images.metadefs import loading
from headwater.images.metadefs.catalogue import MetadefRows, Query, Sight
from headwater.images.metadefs.model import Namespace

app = typer.Typer(no_args_is_help=True, help="Metadata definitions: which properties images, flavors … may have.")

_PAGE = 20  # each may hold some MiB


class Brought(StrEnum):
    """The definitions that Headwater brings."""

    BASE = "base"
    SCS_0102 = "scs-0102"


_DIRECTORIES = {Brought.BASE: loading.BASE, Brought.SCS_0102: loading.SCS}


class BothWays(SettingsError):
    """A namespace cannot be merged with a file and overwritten by it."""

    def __init__(self) -> None:
        super().__init__("give --merge or --overwrite, not both; nothing was changed")


class TwoSources(SettingsError):
    """Definitions come from a directory or from a set that Headwater brings."""

    def __init__(self) -> None:
        super().__init__("give a directory or --set, not both; nothing was changed")


@app.command()
def load(
    *,
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Directory of *.json files. Default: definitions that Headwater brings."),
    ] = None,
    brought: Annotated[
        Brought | None, typer.Option("--set", help="Of the definitions Headwater brings, these. Default: base.")
    ] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Add to known namespaces what only the files have.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make known namespaces what the files say they are.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Load definitions: all files, or nothing when one of them is wrong. Known namespaces stay as they are."""
    if merge and overwrite:
        raise BothWays
    if directory is not None and brought is not None:
        raise TwoSources
    where = directory or _DIRECTORIES[brought or Brought.BASE]
    known = loading.Known.MERGED if merge else loading.Known.OVERWRITTEN if overwrite else loading.Known.KEPT
    with _catalogue(writes=True) as catalogue:
        changed = loading.load_directory(catalogue, where, known, now())
    if as_json:
        output.say_json({"changed": changed})
    else:
        output.say("\n".join(changed) or "nothing to do")


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; files of the same names go.")],
    as_json: AsJson = False,
) -> None:
    """Write every namespace into a file of its own, as 'load' and glance-manage read it."""
    with _catalogue() as catalogue:
        written = loading.export(_all(catalogue), directory)
    if as_json:
        output.say_json({"files": [str(file) for file in written]})
    else:
        for file in written:
            output.say(str(file))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the namespaces by name."""
    with _catalogue() as catalogue:
        if as_json:
            output.say_json_list(_summary(each) for each in _all(catalogue))
            return
        output.say_table(
            ("Namespace", "Visibility", "Protected", "Properties", "Objects", "Tags", "Resource types"),
            (_row(each) for each in _all(catalogue)),
        )


def _row(namespace: Namespace) -> tuple[str, ...]:
    return (
        namespace.namespace,
        namespace.visibility.value,
        "yes" if namespace.protected else "no",
        str(len(namespace.properties)),
        str(len(namespace.objects)),
        str(len(namespace.tags)),
        ", ".join(association.name for association in namespace.associations),
    )


def _summary(namespace: Namespace) -> dict[str, object]:
    return {
        "namespace": namespace.namespace,
        "visibility": namespace.visibility.value,
        "protected": namespace.protected,
        "owner": namespace.owner,
        "properties": len(namespace.properties),
        "objects": len(namespace.objects),
        "tags": len(namespace.tags),
        "resource_types": [association.name for association in namespace.associations],
    }


@contextmanager
def _catalogue(*, writes: bool = False) -> Iterator[MetadefRows]:
    """Open the catalogue; to write, with the base set in it as after a start of the server."""
    with opened(writes=writes) as database:
        catalogue = MetadefRows(database)
        if writes:
            loading.load_base(catalogue, now)
        yield catalogue


def _all(catalogue: MetadefRows) -> Iterator[Namespace]:
    marker: str | None = None
    while True:
        page = catalogue.page(
            Query(limit=_PAGE, marker=marker, sort_key="namespace", sort_dir="asc"), Sight(everything=True)
        )
        yield from page
        if len(page) < _PAGE:
            return
        marker = page[-1].namespace
