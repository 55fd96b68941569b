"""What plugins make of data and of images on the way, and which plugins there are."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from functional.killed.imports import ADMIN, DATA, bring, opened, run_jobs
from headwater.images.imports.plugins import registry
from headwater.images.imports.plugins.plugin import Data, PluginType, Work
from headwater.images.imports.plugins.registry import NoImportPlugin, NoOp, NoSettings, open_plugins
from headwater.images.imports.plugins.settings import ImportPluginsSettings
from headwater.images.model import Image, Status
from templates import sqlite_catalogue


class Inverting(NoOp):
    """Makes other data, each byte's complement, and says so."""

    def wants(self, data: Data, work: Work) -> bool:
        return True

    def apply(self, data: Data, work: Work) -> Data:
        other = (bytes(255 - byte for byte in piece) for piece in data.pieces)
        said = replace(data, properties={**data.properties, "made": "other"}, container_format="ovf")
        return said.holding(other, size=data.size)


class Injecting(NoOp):
    """Adds a property, and takes one away."""

    def apply(self, data: Data, work: Work) -> Data:
        properties = {n: v for n, v in data.properties.items() if n != "gone"}
        return replace(data, properties={**properties, "added": "yes"})


INVERTING = PluginType("invert", NoSettings, lambda _settings: Inverting())
INJECTING = PluginType("inject", NoSettings, lambda _settings: Injecting())
NONE = "no plugin"


@pytest.fixture(autouse=True)
def offers(monkeypatch: pytest.MonkeyPatch) -> None:
    here = f"{__name__}:"
    made = [
        EntryPoint("invert", f"{here}INVERTING", registry.GROUP),
        EntryPoint("inject", f"{here}INJECTING", registry.GROUP),
        EntryPoint("none", f"{here}NONE", registry.GROUP),
        EntryPoint("broken", "no.such.module:X", registry.GROUP),
        EntryPoint("twice", f"{here}INVERTING", registry.GROUP),
        EntryPoint("twice", f"{here}INJECTING", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda **asked: EntryPoints(made).select(**asked))


def imported(directory: Path, *names: str, **fields: Any) -> tuple[Image, dict[str, Any], bytes]:
    """Return an image whose staged data was imported, its task, and what it has."""
    sqlite_catalogue(directory / "catalogue.db")
    with opened(directory, plugins=names) as (service, database):
        document = {"disk_format": "raw", "container_format": "bare", "gone": "soon", **fields}
        image_id = service.images.create(ADMIN, document).id
        bring(service.staging.begin(ADMIN, image_id))
        service.imports.begin(ADMIN, image_id, {"method": {"name": "glance-direct"}})
        before = {file.name for file in (directory / "fast" / "objects").rglob("*") if file.is_file()}
        run_jobs(service, database)
        (task,) = service.image_tasks.of_image(image_id)
        (file,) = (file for file in (directory / "fast" / "objects").rglob("*") if file.is_file())
        told = {"message": task.message, "moved": {file.name} != before}
        return service.catalogue.get(image_id), told, file.read_bytes()


def test_what_a_plugin_makes_becomes_the_images(tmp_path: Path) -> None:
    image, told, data = imported(tmp_path, "invert", "inject")
    assert (image.status, told["message"]) == (Status.ACTIVE, "")
    assert data == bytes(255 - byte for byte in DATA)
    assert image.checksum == hashlib.md5(data).hexdigest()
    assert (image.container_format, image.properties["made"], image.properties["added"]) == ("ovf", "other", "yes")
    assert "gone" not in image.properties
    assert "os_glance_import_task" not in image.properties


def test_data_that_no_plugin_changes_stays_where_it_is_staged(tmp_path: Path) -> None:
    image, told, data = imported(tmp_path, "inject")
    assert (image.status, image.properties["added"], told["moved"]) == (Status.ACTIVE, "yes", False)
    assert data == DATA


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("unheard-of", "there are: broken, inject, invert, none, twice"),
        ("twice", "offered several times"),
        ("none", "is not a PluginType of that name"),
        ("broken", "cannot be used: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_used_stops_the_start(name: str, reason: str) -> None:
    with pytest.raises(NoImportPlugin, match=reason) as unusable:
        open_plugins(ImportPluginsSettings(use=("inject", name)))
    assert unusable.value.name == name
