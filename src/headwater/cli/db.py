"""``headwater db``: the catalogue's schema."""

from __future__ import annotations

import sys

import typer

from headwater.cli import options
from headwater.database import schema
from headwater.database.engine import Database
from headwater.images.metadefs import loading
from headwater.images.metadefs.catalogue import MetadefCatalogue
from headwater.images.service import now
from headwater.server import data_dir

app = typer.Typer(help="The catalogue.", no_args_is_help=True)


def _database() -> Database:
    settings = options.sources().load().settings
    data_dir.prepare(settings.data_dir)
    return Database(settings.database_url)


@app.command()
def upgrade() -> None:
    """Bring the catalogue to the schema of this version; safe to run at any time."""
    database = _database()
    try:
        changed = schema.upgrade(database)
        loading.load_base(MetadefCatalogue(database), now)
    finally:
        database.close()
    sys.stdout.write(f"schema {schema.NEWEST}: {'upgraded' if changed else 'nothing to do'}\n")


@app.command()
def check() -> None:
    """Say whether the catalogue has the schema of this version."""
    database = _database()
    try:
        schema.check(database)
    finally:
        database.close()
    sys.stdout.write(f"schema {schema.NEWEST}: right\n")
