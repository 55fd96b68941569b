"""``headwater store``: which store the catalogue takes for which."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from headwater.cli import options, output
from headwater.cli.catalogue import opened
from headwater.cli.output import AsJson
from headwater.errors import SettingsError
from headwater.fetching.fetcher import Fetcher
from headwater.images.data.admission import Admission
from headwater.stores.registry import open_stores
from headwater.stores.store_type import Surroundings

app = typer.Typer(help="Where image bytes lie.", no_args_is_help=True)


@app.callback()
def store() -> None:
    """Where image bytes lie."""


class NothingToAdopt(SettingsError):
    """There is no store of this name that could be mistaken for another."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"there is no store {name!r} that keeps objects of its own; there is {', '.join(known) or 'none'}"
        )
        self.name = name


@app.command()
def adopt(
    name: Annotated[str, typer.Argument(help="The store, as section [stores] names it.")],
    as_json: AsJson = False,
) -> None:
    """Make what lies in a store's place the store from now on, be it empty or another one.

    For a store that was lost, restored without its mark, or replaced on purpose, and to begin anew with a new
    catalogue beside an old store. Images whose data is not there stay in the catalogue. Nothing is deleted. Restart
    the services that use the store.
    """
    settings = options.sources().load().settings
    stores = open_stores(settings.stores, Surroundings(settings.data_dir, Fetcher(settings.fetch)))
    known = [each for each, store in stores.items() if store.abilities.has_identity]
    if name not in known:
        raise NothingToAdopt(name, known)
    with opened(writes=True) as database:
        adopted = Admission(database).adopt(name, stores[name])
    if as_json:
        output.say_json(asdict(adopted))
    else:
        output.say(
            f"store {name}: adopted, {adopted.found} of {adopted.looked_for} objects that were looked for are there"
        )
