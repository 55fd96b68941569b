"""``headwater streams pulled``: feeds of others that the service serves as its own, on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from headwater.caching.fills import Fill
from headwater.cli import exits, options, output
from headwater.cli.output import AsJson
from headwater.errors import HeadwaterError, SettingsError
from headwater.streams.pulling.files import NamedFile
from headwater.streams.pulling.opening import Silent, open_pulled
from headwater.streams.pulling.pulled import PulledTree
from headwater.threads import Pool

app = typer.Typer(
    help="Feeds of others that are served as ours (pull_through). To be run on the machine that keeps them, by the "
    "user that runs Headwater; a service may run meanwhile.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the tree, as in [streams.trees.NAME].")]


class NoSuchFile(SettingsError):
    """No file of a feed is of this pattern."""

    def __init__(self, tree: str, pattern: str) -> None:
        super().__init__(f"the feed {tree} names no file {pattern!r}; in patterns * stands for any text")
        self.tree, self.pattern = tree, pattern


@contextmanager
def _tree(name: str, threads: int = 1) -> Iterator[PulledTree]:
    settings = options.sources().load().settings
    pool = Pool("pulling", threads)
    tree = open_pulled(name, settings.streams, settings.data_dir, pool=pool, tally=Silent())
    try:
        yield tree
    finally:
        tree.close()
        pool.close()


@app.command("list")
def show(name: Name, *, as_json: AsJson = False) -> None:
    """List what is kept: documents with the time of the last question, files with that of the last reading."""
    with _tree(name) as tree:
        documents, files = list(tree.documents.records.known()), tree.kept_files()
    there = sorted((each for each in documents if not each.is_absent), key=lambda each: each.path)
    if as_json:
        output.say_json(
            {
                "tree": name,
                "documents": [
                    {"path": each.path, "size": each.size, "updated": each.updated, "asked": _time(each.asked)}
                    for each in there
                ],
                "files": [
                    {
                        "paths": paths,
                        "size": each.size,
                        "hits": each.hits,
                        "last_accessed": _time(each.last_accessed),
                        "name": each.name,
                    }
                    for each, paths in files
                ],
            }
        )
        return
    rows = [(found.path, str(found.size), "", _time(found.asked)) for found in there]
    rows += [
        (
            ", ".join(paths) or f"(not named any more) {each.name}",
            str(each.size),
            str(each.hits),
            _time(each.last_accessed),
        )
        for each, paths in files
    ]
    output.say_table(("path", "bytes", "hits", "asked or read last"), rows)


@app.command()
def fetch(
    name: Name,
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="PATTERN...", help="Paths of files; * stands for any text.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All files that the feed names.")] = False,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="How many files are fetched at a time.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Fetch files before anybody wants them. With neither patterns nor --all: the documents only."""
    failed: dict[str, str] = {}
    with _tree(name, parallel) as tree:
        wanted = _wanted(tree, patterns or (), everything=everything)
        total = sum(each.size for each in wanted)
        with output.progress("bytes fetched", total) as shown:
            done = 0
            for some in (wanted[at : at + parallel] for at in range(0, len(wanted), parallel)):
                failed |= _fetched(tree, some)
                done += sum(each.size for each in some)
                shown(done)
    if as_json:
        output.say_json({"tree": name, "files": len(wanted), "bytes": total, "failed": failed})
    else:
        for path, reason in failed.items():
            output.say_error(f"headwater: {path}: {reason}")
        output.say(f"{name}: {len(wanted) - len(failed)} of {len(wanted)} files are here")
    if failed:
        raise typer.Exit(exits.FAILED)


@app.command()
def refresh(
    name: Name,
    *,
    allow_older: Annotated[
        bool, typer.Option("--allow-older", help="Take documents that were updated before those that are kept.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask for all documents that are kept, however young they are."""
    failed: dict[str, str] = {}
    with _tree(name) as tree:
        paths = tree.documents.kept_paths()
        changed = []
        for path in paths:
            before = tree.documents.records.get(path)
            try:
                found = tree.documents.find(path, allow_older=allow_older, at_once=True).record
            except HeadwaterError as error:
                failed[path] = str(error)
            else:
                if before is None or before.sha256 != found.sha256:
                    changed.append(path)
    if as_json:
        output.say_json({"tree": name, "documents": len(paths), "changed": changed, "failed": failed})
    else:
        for path, reason in failed.items():
            output.say_error(f"headwater: {path}: {reason}")
        output.say(
            "\n".join([*(f"{path} has changed" for path in changed), f"{name}: {len(paths)} documents asked for"])
        )
    if failed:
        raise typer.Exit(exits.FAILED)


@app.command()
def prune(
    name: Name,
    *,
    unnamed: Annotated[bool, typer.Option("--unnamed", help="Also files that no document names any more.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All files.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what broken fetches left, and the files that were not read for longest, until the rest fits."""
    with _tree(name) as tree:
        named = {each.name for each, paths in tree.kept_files() if paths} if unnamed else None
        tree.kept.clean()
        removed = tree.kept.clear() if everything else tree.kept.prune(lambda each: named is None or each in named)
    if as_json:
        output.say_json(asdict(removed))
    else:
        output.say(f"{name}: removed {removed.files} files, {removed.bytes} bytes")


def _wanted(tree: PulledTree, patterns: Sequence[str], *, everything: bool) -> list[NamedFile]:
    files = list(tree.files())
    if everything:
        return files
    wanted: dict[str, NamedFile] = {}
    for pattern in patterns:
        found = [each for each in files if fnmatchcase(each.path, pattern)]
        if not found:
            raise NoSuchFile(tree.name, pattern)
        wanted |= {each.path: each for each in found}
    return list(wanted.values())


def _fetched(tree: PulledTree, files: Sequence[NamedFile]) -> dict[str, str]:
    """Fetch some files at a time; return why each did not come that did not."""
    failed: dict[str, str] = {}
    begun: list[tuple[NamedFile, Fill]] = []
    for file in files:
        try:
            found = tree.fetch(file) if file.size else Path()
        except HeadwaterError as error:
            failed[file.path] = str(error)
            continue
        if found is None:
            failed[file.path] = f"there is no room for {file.size} bytes"
        elif isinstance(found, Fill):
            begun.append((file, found))
    for file, fill in begun:
        asyncio.run(fill.beyond(file.size))  # there is nothing beyond, so this is its end
        if fill.error is not None or fill.arrived < file.size:
            failed[file.path] = str(fill.error or "who fetched it was killed")
    return failed


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
