"""What many tests need, on a catalogue of their own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.unheard import UnheardImages
from headwater.cli import options
from headwater.database.engine import Database
from templates import sqlite_catalogue
from unit.clock import Clock


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database file with the newest schema, ``catalogue.db`` in the directory of the test."""
    database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
    yield database
    database.close()


@pytest.fixture
def catalogue(database: Database) -> UnheardImages:
    """The images in ``database``."""
    return UnheardImages(database)


@pytest.fixture
def clock() -> Clock:
    """Time that the test moves, from ``NOON``."""
    return Clock()


@pytest.fixture(autouse=True)
def _no_global_options() -> None:
    """A command that runs in this process leaves its own to the next one."""
    options.remember(options.Sources(None, None))


@pytest.fixture(autouse=True)
def _our_loggers_are_on() -> None:
    """Libraries that configure logging, the import linter for one, switch off every logger that is there."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("headwater") and isinstance(logger, logging.Logger):
            logger.disabled = False
