"""What ``explain`` says of an image in feeds that lie in trees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from headwater.cli import exits, output
from headwater.cli.commands.streams.looking.lint import root_of
from headwater.cli.commands.streams.options import tree_of
from headwater.streams.lint.consumers.registry import named
from headwater.streams.lint.explaining import Explained, View, explain
from headwater.streams.signing.certificates import certificates


def explain_in_trees(
    image: str,
    trees: Sequence[str],
    consumers: Sequence[str] | None,
    keyrings: Sequence[Path] | None,
    *,
    cafile: Path | None,
    insecure: bool,
    as_json: bool,
) -> None:
    """Tell it; the exit code is 1 when no tree has the image, or a consumer does not see it that reads such images."""
    trusted = [certificate for file in keyrings for certificate in certificates(file)] if keyrings else None
    found = []
    for name in trees:
        with tree_of(root_of(name), cafile=cafile, insecure=insecure) as tree:
            found.append(explain(tree, image, named(consumers) if consumers else (), trusted=trusted))
    if as_json:
        output.say_json({"image": image, "trees": [each.to_dict() for each in found]})
    else:
        for each in found:
            output.say("\n".join(_told(image, each)))
    if not any(each.matches for each in found) or any(map(_is_lost, found)):
        raise typer.Exit(exits.FAILED)


def _is_lost(explained: Explained) -> bool:
    return any(view.reads and not view.sees for _, views in explained.matches for view in views)


def _told(image: str, explained: Explained) -> Iterator[str]:
    if not explained.matches:
        yield f"{explained.place}: {image} is not in it"
        for finding in explained.of_feed:
            yield from (f"  {finding.file}{_at(finding.at)}: {finding.sentence}", f"    fix: {finding.fix}")
        return
    for match, views in explained.matches:
        yield f"{explained.place}: {match.file}"
        yield f"  product {match.product}, version {match.version}, items {', '.join(match.items)}"
        for view in views:
            yield from _of_consumer(view)


def _of_consumer(view: View) -> Iterator[str]:
    if not view.reads:
        yield f"  {view.consumer}: does not look at images of this kind"
        return
    yield f"  {view.consumer}: {'sees it' if view.sees else 'does not see it'}"
    for finding in view.findings:
        yield from (f"    {finding.file}{_at(finding.at)}: {finding.sentence}", f"      fix: {finding.fix}")


def _at(place: str) -> str:
    return f": {place}" if place else ""
