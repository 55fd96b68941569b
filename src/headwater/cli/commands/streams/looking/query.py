"""``headwater streams query``: the items of a feed, as rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.commands.streams import rows
from headwater.cli.commands.streams.options import CaFile, Insecure, tree_of
from headwater.cli.commands.streams.rows import Form
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.streams.query import query as queries
from headwater.streams.query.reading import split_name


def query(
    tree: Annotated[
        str,
        typer.Argument(
            metavar="TREE",
            help="A directory, http(s)://…, s3://BUCKET/PREFIX or swift://CONTAINER/PREFIX, or a document in one, "
            "such as https://…/streams/v1/index.json.",
        ),
    ],
    filters: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILTER]...", help="KEY=TEXT, KEY!=TEXT, KEY~REGEX, KEY!~REGEX, or KEY and a text with < <= > >=."
        ),
    ] = None,
    *,
    most: Annotated[
        int | None,
        typer.Option("--max", min=1, metavar="N", help="Only the newest N versions of each product that have rows."),
    ] = None,
    latest: Annotated[bool, typer.Option("--latest", help="As --max 1.")] = False,
    form: Annotated[Form | None, typer.Option("--output", help="Default: table.")] = None,
    as_json: AsJson = False,
    fields: Annotated[
        str | None, typer.Option(metavar="KEY,...", help="Only these keys, in this order. Default: all.")
    ] = None,
    format_string: Annotated[
        str | None,
        typer.Option("--format-string", "-o", metavar="TEXT", help="A line for each row, with %(KEY)s for its values."),
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="Of an index or products document in the tree. Default: the feed's index.")
    ] = None,
    keyring: Annotated[
        Path | None, typer.Option(metavar="FILE", help="OpenPGP keys of which one has to have signed each document.")
    ] = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", "-U", help="Do not look at signatures.")] = False,
    cafile: CaFile = None,
    insecure: Insecure = False,
) -> None:
    """Show the items of a feed that pass all filters, with what they inherit; a signed feed needs --keyring."""
    chosen = [
        name for name, given in (("--output", form), ("--json", as_json), ("--format-string", format_string)) if given
    ]
    if len(chosen) > 1:
        raise SettingsError(f"{' and '.join(chosen)}: choose one of them")
    if latest and most not in (None, 1):
        raise SettingsError("--latest and --max: choose one of them")
    if keyring is not None and no_verify:
        raise SettingsError("--keyring and --no-verify: choose one of them")
    root, named = split_name(tree) if path is None else (tree, path)
    trusted = None
    if keyring is not None:
        from headwater.streams.signing.certificates import certificates  # noqa: PLC0415 - OpenPGP is long to load

        trusted = certificates(keyring)
    with tree_of(root, cafile=cafile, insecure=insecure) as opened, output.progress("documents", None) as shown:
        found = queries.query(
            opened,
            filters or (),
            start=named,
            most_versions=1 if latest else most,
            trusted=trusted,
            verifies=not no_verify,
            told=shown,
        )
        keys = [key.strip() for key in fields.split(",") if key.strip()] if fields else []
        rows.say(found, Form.JSON if as_json else form or Form.TABLE, keys, format_string)
