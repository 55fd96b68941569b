"""``headwater streams verify``: who signed a feed, and whether that is good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.cli import exits, output
from headwater.cli.commands.streams.options import CaFile, Insecure, tree_of
from headwater.cli.output import AsJson
from headwater.streams.signing.certificates import certificates
from headwater.streams.signing.feeds.check import Checked, check_feed, place_and_path
from headwater.streams.signing.replay import Seen
from headwater.streams.signing.verifying import SignedBy


def verify(
    name: Annotated[
        str, typer.Argument(metavar="TREE|FILE|URL", help="A tree, or a document in it, which is the start then.")
    ],
    *,
    keyring: Annotated[
        list[Path],
        typer.Option("--keyring", metavar="FILE", help="OpenPGP certificates to believe; again for more."),
    ],
    seen: Annotated[
        Path | None,
        typer.Option("--seen", metavar="FILE", help="Keeps what was seen of feeds: what is older than that is bad."),
    ] = None,
    allow_older: Annotated[bool, typer.Option("--allow-older", help="Do not mind what is older.")] = False,
    cafile: CaFile = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Verify every document of a signed feed; exit code 1 when one of them is not good."""
    trusted = [certificate for file in keyring for certificate in certificates(file)]
    known = Seen.load(seen) if seen else Seen()
    place, start = place_and_path(name)
    with (
        tree_of(place, cafile=cafile, insecure=insecure) as tree,
        output.progress("documents verified", None) as shown,
    ):
        checked = check_feed(tree, trusted, start, seen=known, allow_older=allow_older, told=shown)
    is_good = all(each.problem is None for each in checked)
    if seen and is_good:
        known.save(seen)
    for warning, paths in _warnings(checked).items():
        others = f" (and {len(paths) - 1} others)" if len(paths) > 1 else ""
        typer.echo(f"headwater: warning: {paths[0]}{others}: {warning}", err=True)
    if as_json:
        output.say_json({"tree": tree.place, "good": is_good, "documents": [_facts(each) for each in checked]})
    else:
        output.say("\n".join(_line(each) for each in checked))
        output.say(f"{tree.place}: {_sum(checked)}")
    raise typer.Exit(exits.DONE if is_good else exits.FAILED)


def _warnings(checked: list[Checked]) -> dict[str, list[str]]:
    """Return each warning with the documents that it is about."""
    found: dict[str, list[str]] = {}
    for each in checked:
        for warning in each.warnings:
            found.setdefault(warning, []).append(each.path)
    return found


def _line(each: Checked) -> str:
    if each.problem is not None:
        return f"BAD {each.path}: {each.problem}"
    who = "; ".join(f"{by.fingerprint} {by.owner or ''}".rstrip() for by in each.signed_by)
    return f"good {each.path}: signed by {who}"


def _sum(checked: list[Checked]) -> str:
    bad = sum(each.problem is not None for each in checked)
    return f"{len(checked) - bad} documents are good" + (f", {bad} are not" if bad else "")


def _facts(each: Checked) -> dict[str, Any]:
    return {
        "path": each.path,
        "good": each.problem is None,
        "problem": each.problem,
        "signed_by": [_signer(by) for by in each.signed_by],
        "warnings": list(each.warnings),
    }


def _signer(by: SignedBy) -> dict[str, Any]:
    return {
        "fingerprint": by.fingerprint,
        "key": by.key,
        "owner": by.owner,
        "expires_at": by.expires_at.isoformat() if by.expires_at else None,
    }
