"""``headwater streams sign``: a feed in a tree, signed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from headwater.cli import output
from headwater.cli.commands.streams.options import (
    KeyOptions,
    signing_command,
    tree_of,
)
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.streams.format.layout import UNSIGNED_INDEXES
from headwater.streams.signing.feeds.sign import Done, Signed, sign_feed
from headwater.streams.signing.reading import Form, NoStart


@signing_command
def sign(
    tree: Annotated[
        str | None, typer.Argument(metavar="TREE", help="A directory, s3://BUCKET/PREFIX or swift://CONTAINER/PREFIX.")
    ] = None,
    *,
    directory: Annotated[
        Path | None,
        typer.Option("-d", metavar="DIR", help="As juju metadata sign: sign every feed below it, as *.sjson only."),
    ] = None,
    keys: KeyOptions,
    only: Annotated[Literal["inline", "detached"] | None, typer.Option(help="Make *.sjson or *.json.gpg only.")] = None,
    allow_older: Annotated[
        bool, typer.Option("--allow-older", help="Sign what is older than what was signed before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be signed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Sign all documents of a feed: *.sjson and *.json.gpg beside each, the indexes last."""
    if tree is not None and directory is not None:
        raise SettingsError("name the feed as TREE or with -d, not both")
    if tree is None and directory is None:
        raise SettingsError("directory must be specified")
    forms: tuple[Form, ...] = (Form(only),) if only else (Form.INLINE,) if directory else (Form.INLINE, Form.DETACHED)
    done: list[tuple[str, Signed]] = []
    with ExitStack() as open_keys:
        signer = keys.signer()
        if signer is None:
            raise SettingsError("keyfile must be specified: --key FILE, --keyring FILE --fingerprint F, or --gpg-key F")
        open_keys.enter_context(closing(signer))
        keyrings = keys.keyrings()
        also = [open_keys.enter_context(closing(each)) for each in keys.also(signer)]
        for place in [str(tree)] if directory is None else _feeds_below(directory):
            with tree_of(place) as opened, output.progress("documents signed", None) as shown:
                signed = sign_feed(
                    opened,
                    signer,
                    also=also,
                    forms=forms,
                    keyrings=keyrings,
                    allow_older=allow_older,
                    dry_run=dry_run,
                    told=shown,
                )
                done.append((opened.place, signed))
        fingerprint, expires_at = signer.fingerprint, signer.expires_at
    for warning in dict.fromkeys(warning for _, signed in done for warning in signed.warnings):
        typer.echo(f"headwater: warning: {warning}", err=True)
    if as_json:
        key_facts = {"fingerprint": fingerprint, "expires_at": expires_at.isoformat() if expires_at else None}
        output.say_json({"dry_run": dry_run, "key": key_facts, "feeds": [_facts(*each) for each in done]})
    elif directory is not None:
        _say_as_juju(directory, done)
    else:
        _say(done, dry_run=dry_run)


def _feeds_below(directory: Path) -> Iterator[str]:
    if not directory.is_dir():
        raise SettingsError(f"-d {directory}: there is no such directory")
    found = sorted({path.parents[2] for path in directory.rglob("streams/v1/index*.json")})
    if not found:
        raise NoStart(str(directory), tuple(f"…/{path}" for path in UNSIGNED_INDEXES))
    yield from map(str, found)


def _say(done: list[tuple[str, Signed]], *, dry_run: bool) -> None:
    for place, signed in done:
        new = [step.path for step in signed.steps if step.done is Done.SIGNED]
        would = "would be signed" if dry_run else "signed"
        output.say("\n".join([*(f"{path} {would}" for path in new), _sum(place, len(new), len(signed.steps))]))


def _sum(place: str, new: int, total: int) -> str:
    return f"{place}: {new} of {total} signed files are new, {total - new} are as they were"


def _say_as_juju(directory: Path, done: list[tuple[str, Signed]]) -> None:
    files = [f"{place}/{step.path}" for place, signed in done for step in signed.steps]
    unsigned = [f'signing file "{file.removesuffix(".sjson")}.json"' for file in files]
    output.say("\n".join([f'signing {len(files)} file(s) in "{directory}"', *unsigned]))


def _facts(place: str, signed: Signed) -> dict[str, object]:
    return {
        "tree": place,
        "files": [{"path": step.path, "done": step.done} for step in signed.steps],
        "warnings": list(signed.warnings),
    }
