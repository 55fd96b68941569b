"""``headwater db``: the catalogue's schema, and what was deleted from it."""

from __future__ import annotations

from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.catalogue import opened, opened_unchecked
from headwater.cli.output import AsJson
from headwater.clock import now
from headwater.database import schema
from headwater.images.catalogue.images import ImageRows
from headwater.images.metadefs import loading
from headwater.images.metadefs.catalogue import MetadefRows
from headwater.server import data_dir

DAY = 86_400_000_000  # microseconds
PURGED_AT_ONCE = 500

app = typer.Typer(help="The catalogue.", no_args_is_help=True)


@app.command()
def upgrade(as_json: AsJson = False) -> None:
    """Bring the catalogue to the schema of this version; safe to run at any time."""
    with opened_unchecked(may_make=True) as database:
        data_dir.close_database(database.file)
        changed = schema.upgrade(database)
        loading.load_base(MetadefRows(database), now)
    if as_json:
        output.say_json({"schema": schema.NEWEST, "upgraded": changed})
    else:
        output.say(f"schema {schema.NEWEST}: {'upgraded' if changed else 'nothing to do'}")


@app.command()
def check(as_json: AsJson = False) -> None:
    """Say whether the catalogue has a schema that this version may run on."""
    with opened_unchecked(may_make=False) as database:
        found = schema.check(database)
    if as_json:
        output.say_json({"schema": found, "right": True})
    else:
        output.say(f"schema {found}: right")


@app.command()
def purge(
    age_in_days: Annotated[
        int, typer.Option(help="Forget images that were deleted longer ago than this.", min=0, max=36500)
    ] = 30,
    max_rows: Annotated[int, typer.Option(help="Stop after so many; 0: no limit.", min=0)] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Forget what deleted images were. Their ids stay known, so that none is ever used again."""
    with opened() as database:
        purged = _purged(ImageRows(database), now() - age_in_days * DAY, max_rows)
    if as_json:
        output.say_json({"purged": purged})
    else:
        output.say(f"purged {purged} deleted image{'' if purged == 1 else 's'}")


def _purged(catalogue: ImageRows, before: int, most: int) -> int:
    """Purge in transactions so small that nobody waits long for one; return how many images."""
    purged = 0
    with output.progress("Purging", most or None) as tell:
        while not most or purged < most:
            wanted = min(PURGED_AT_ONCE, most - purged) if most else PURGED_AT_ONCE
            count = catalogue.purge(before, wanted)
            purged += count
            tell(purged)
            if count < wanted:
                break
    return purged
