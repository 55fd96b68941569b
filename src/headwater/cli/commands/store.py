"""``headwater store``: which store the catalogue takes for which, and whether what lies in it is what should."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from headwater.cli import exits, options, output
from headwater.cli.catalogue import opened
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.fetching.fetcher import Fetcher
from headwater.images.data.admission import Admission
from headwater.images.data.checking.check import StoreCheck, Totals, Wanted
from headwater.images.data.checking.finding import Finding
from headwater.stores.registry import open_stores
from headwater.stores.store import ObjectStore
from headwater.stores.store_type import Surroundings

app = typer.Typer(help="Where image bytes lie.", no_args_is_help=True)


@app.callback()
def store() -> None:
    """Where image bytes lie."""


class NothingToAdopt(SettingsError):
    """There is no store of this name that could be mistaken for another."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(_no_such_store(name, known))
        self.name = name


class NothingToCheck(SettingsError):
    """There is no store of this name that keeps objects of its own."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(_no_such_store(name, known))
        self.name = name


def _no_such_store(name: str, known: Iterable[str]) -> str:
    return f"there is no store {name!r} that keeps objects of its own; there is {', '.join(known) or 'none'}"


@app.command()
def adopt(
    name: Annotated[str, typer.Argument(help="The store, as the settings name it.")],
    as_json: AsJson = False,
) -> None:
    """Make what lies in a store's place the store from now on, be it empty or another one.

    For a store that was lost, restored without its mark, or replaced on purpose, and to begin anew with a new
    catalogue beside an old store. Images whose data is not there stay in the catalogue. Nothing is deleted. Restart
    the services that use the store.
    """
    with _own_stores() as stores:
        if name not in stores:
            raise NothingToAdopt(name, stores)
        with opened(writes=True) as database:
            adopted = Admission(database).adopt(name, stores[name])
    if as_json:
        output.say_json(asdict(adopted))
    else:
        output.say(
            f"store {name}: adopted, {adopted.found} of {adopted.looked_for} objects that were looked for are there"
        )


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="As the settings name them; else all stores."),
    ] = None,
    *,
    read: Annotated[
        bool, typer.Option("--read", help="Read the data of every image, and hold it against its hash.")
    ] = False,
    speed: Annotated[
        float, typer.Option(metavar="MIB_S", help="Read so many MiB a second at most; 0: as fast as it goes.", min=0)
    ] = 100,
    remove_orphans: Annotated[
        bool, typer.Option("--remove-orphans", help="Remove the orphans of images that the catalogue knows or knew.")
    ] = False,
    grace: Annotated[
        int, typer.Option(metavar="HOURS", help="What was written later than so long ago is no orphan yet.", min=0)
    ] = 24,
    as_json: AsJson = False,
) -> None:
    """Say whether stores have what the catalogue says, and nothing else; exit with 1 when something is wrong.

    Tells of orphans, which no image and nothing on its way has; of objects that are missing; and of damaged ones, of
    another size or, with --read, of another hash. Safe to run beside services. Nothing is removed unless
    --remove-orphans is given.
    """
    wanted = Wanted(grace_s=grace * 3600, read=read, speed=speed * (1 << 20) or None, remove_orphans=remove_orphans)
    with _own_stores() as stores:
        for name in names or ():
            if name not in stores:
                raise NothingToCheck(name, stores)
        totals = [Totals(name) for name in dict.fromkeys(names or stores)]
        with opened() as database:
            _tell(_found(StoreCheck(database), stores, totals, wanted, silent=as_json), totals, as_json=as_json)
    if not all(each.is_well for each in totals):
        raise typer.Exit(exits.FAILED)


@contextmanager
def _own_stores() -> Iterator[dict[str, ObjectStore]]:
    """Open the stores that keep objects of their own, by name."""
    settings = options.sources().load().settings
    stores = open_stores(settings.stores, Surroundings(settings.data_dir, Fetcher(settings.fetch)))
    try:
        yield {name: store for name, store in stores.items() if store.abilities.has_identity}
    finally:
        for store in stores.values():
            store.close()


def _tell(found: Iterator[Finding], totals: Iterable[Totals], *, as_json: bool) -> None:
    if as_json:
        output.say_json_lists(findings=map(asdict, found), stores=(asdict(each) for each in totals))
        return
    for finding in found:
        output.say(_sentence(finding))
    for each in totals:
        output.say(_summary(each))


def _found(
    checking: StoreCheck, stores: Mapping[str, ObjectStore], totals: Iterable[Totals], wanted: Wanted, *, silent: bool
) -> Iterator[Finding]:
    """Yield what is found in all stores; ``silent`` where a bar would break into lines of JSON."""
    for each in totals:
        if silent:
            yield from checking.found(stores[each.store], wanted, each)
            continue
        whole = checking.bytes_of(each.store) if wanted.read else None
        with output.progress(f"Checking {each.store}", whole) as tell:
            yield from checking.found(stores[each.store], wanted, each, _adding(tell))


def _adding(tell: Callable[[int], None]) -> Callable[[int], None]:
    """Return what is told of each piece, where ``tell`` wants to know of all so far."""
    done = 0

    def passed(count: int) -> None:
        nonlocal done
        done += count
        tell(done)

    return passed


def _sentence(finding: Finding) -> str:
    image = f" of image {finding.image_id}" if finding.image_id else ""
    size = f", {finding.size} bytes" if finding.size is not None else ""
    return f"store {finding.store}: {finding.kind}: {finding.object_key}{image}{size}: {finding.reason}"


def _summary(totals: Totals) -> str:
    counted = {
        "orphan": totals.orphan,
        "removed": totals.removed,
        "missing": totals.missing,
        "damaged": totals.damaged,
    }
    wrong = [f"{each.objects} {name} ({each.bytes} bytes)" for name, each in counted.items() if each.objects]
    if totals.error is not None:
        wrong.append(f"not checked to its end: {totals.error}")
    seen = f"{totals.listed.objects} objects ({totals.listed.bytes} bytes)"
    return f"store {totals.store}: {seen}, {', '.join(wrong) or 'all is well'}"
