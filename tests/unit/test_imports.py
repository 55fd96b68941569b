"""Imports point one way: the contracts of ``.importlinter``, and what contracts cannot say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from configparser import ConfigParser
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

from needs import CHECKOUT

CONTRACTS = CHECKOUT / ".importlinter"

# Pure rules and formats, modules or packages of them: they see their arguments and nothing else.
MODELS = (
    "headwater.images.model",
    "headwater.images.properties.protection",
    "headwater.instances.model",
    "headwater.instances.trees",
    "headwater.streams.signing.clearsign",
    "headwater.streams.format.documents",
)
# Time, chance, files, sockets, processes: what a model cannot ask for.
WORLD = frozenset(
    {"os", "random", "secrets", "shutil", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time"}
)
DATA_TYPES = frozenset({"msgspec"})

# Each kind of work is done in one place: library -> the rooms that may use it, HTTP faces by the name they begin with.
ROOMS = {
    "starlette": (
        "headwater.http",
        "headwater.images.compute_proxy.http",
        "headwater.images.data.transfer",
        "headwater.images.http",
        "headwater.images.http_v2",
        "headwater.images.v1.http",
        "headwater.instances.api.guest_routes",
        "headwater.instances.api.routes",
        "headwater.instances.boot_log.recording",
        "headwater.instances.boot_log.reports",
        "headwater.instances.http",
        "headwater.instances.identity.http",
        "headwater.instances.password.http",
        "headwater.instances.serving.faults",
        "headwater.instances.tokens.http",
        "headwater.server",
        "headwater.streams.http",
    ),
    "anyio": ("headwater.instances.http", "headwater.instances.serving"),
    "http_sf": ("headwater.http",),
    "httptools": ("headwater.server",),
    "uvloop": ("headwater.server",),
    "alembic": ("headwater.database",),
    "psycopg": (),  # SQLAlchemy imports it
    "pymysql": ("headwater.database",),
    "typer": ("headwater.cli",),
    "rich": ("headwater.cli.output",),
    "jwt": ("headwater.instances.identity.tokens",),
    "jinja2": ("headwater.instances.user_data.rendering",),
    "pycdlib": ("headwater.instances",),
    "pysequoia": ("headwater.streams",),
    "oslo_utils": ("headwater.images",),
    "oslo_policy": ("headwater.identity",),
    "keystoneauth1": (
        "headwater.client.keystone",
        "headwater.identity",
        "headwater.stores.swift",
        "headwater.streams.publishing.registration",
        "headwater.streams.trees",
    ),
    "bcrypt": ("headwater.identity",),
    "boto3": ("headwater.stores.s3", "headwater.streams.trees"),
    "botocore": ("headwater.stores.s3", "headwater.streams.trees"),
    "cryptography": (
        "headwater.identity.keystone.kept_tokens",
        "headwater.images",
        "headwater.instances.identity.keys",
        "headwater.instances.identity.proofs",
        "headwater.instances.password.opening",
        "headwater.instances.sealing",
        "headwater.server.edge.certificates",
        "headwater.streams.signing.old_keys",
    ),
    "oslo_messaging": ("headwater.activity.notifications",),
    "httpx2": ("headwater.activity.notifications", "headwater.client", "headwater.streams.trees"),
    "httpcore2": ("headwater.fetching",),
    "werkzeug": ("headwater.http",),
    "swiftclient": ("headwater.stores.swift", "headwater.streams.trees"),
    "urllib3": (
        "headwater.identity",
        "headwater.stores.s3",
        "headwater.stores.swift",
        "headwater.streams.trees",
        "headwater.testing",
    ),
    "cachetools": (
        "headwater.identity",
        "headwater.images.signatures",
        "headwater.instances",
        "headwater.streams.views",
    ),
}

HOUSE = (
    "activity",
    "cli",
    "config",
    "database",
    "errors",
    "fetching",
    "http",
    "identity",
    "images",
    "instances",
    "instances/api",
    "instances/http",
    "instances/identity",
    "instances/identity/http",
    "instances/tokens",
    "instances/tokens/http",
    "jobs",
    "server",
    "stores",
    "streams",
    "testing",
)


# The rooms of images, and what lies flat there.
IMAGES = (
    "access",
    "assembly",
    "catalogue",
    "compute_proxy",
    "compute_proxy/http",
    "data",
    "events",
    "http",
    "http_v2",
    "imports",
    "model",
    "service",
    "v1",
    "v1/http",
)
# The rooms of stores: each store beside the others, what is around all, and their contract.
STORES = ("file", "layers", "memory", "parts", "rbd", "registry", "remote", "s3", "store", "store_type", "swift", "web")

# Where SQL stands besides in a room of its own.
CATALOGUES = (
    "activity/notifications/outbox",
    "images/metadefs/catalogue",
    "instances/boot_log/rows",
    "instances/identity/keys",
    "instances/lists/rows",
    "instances/password/rows",
    "instances/registry/rows",
    "instances/tokens/secrets",
    "jobs/overview",
    "jobs/queue",
    "instances/sources/openstack/address_rows",
    "instances/sources/openstack/rows",
    "streams/lookup/record_rows",
    "streams/syncing/sources/rows",
)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("headwater", include_external_packages=True, cache_dir=None)


def test_imports_point_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    kept = lint_imports(config_filename=str(CONTRACTS), no_cache=True, no_logo=True) == 0
    assert kept, capsys.readouterr().out


@pytest.fixture
def model_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of another name with the rooms of the house, and the contracts for it."""
    house = tmp_path / "dollhouse"
    house.mkdir()
    (house / "__init__.py").touch()
    for room in HOUSE:
        (house / room).mkdir()
        (house / room / "__init__.py").touch()
    for room in IMAGES:
        (house / "images" / room).mkdir(parents=True)
        (house / "images" / room / "__init__.py").touch()
    for catalogue in CATALOGUES:
        (house / catalogue).parent.mkdir(parents=True, exist_ok=True)
        for above in (house / catalogue).parents[: len(Path(catalogue).parents) - 1]:
            (above / "__init__.py").touch()
        (house / catalogue).with_suffix(".py").write_text("import sqlalchemy\n")
    for room in STORES:
        (house / "stores" / room).mkdir()
        (house / "stores" / room / "__init__.py").touch()
    (tmp_path / ".importlinter").write_text(CONTRACTS.read_text().replace("headwater", "dollhouse"))
    monkeypatch.syspath_prepend(tmp_path)
    yield house
    sys.modules.pop("dollhouse", None)


def keeps_its_contracts(house: Path) -> bool:
    return lint_imports(config_filename=str(house.parent / ".importlinter"), no_cache=True, no_logo=True) == 0


def test_a_house_without_imports_keeps_the_contracts(model_house: Path) -> None:
    assert keeps_its_contracts(model_house)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("server", "images.http_v2"),
        ("streams", "images"),
        ("images/service", "stores"),
        ("stores/file", "config"),
        ("testing", "stores"),
        ("cli", "server"),
        ("images/service", "activity"),
        ("images/service", "http"),
        ("activity", "jobs"),
        ("stores/file", "fetching"),
        ("images/v1/http", "images.http"),
        ("images/compute_proxy/http", "images.http"),
        ("images/http_v2", "images.http"),
        ("images/http_v2", "images.service"),
        ("images/assembly", "images.v1"),
        ("instances/http", "instances.identity.http"),
        ("images/data", "images.catalogue"),
        ("images/catalogue", "images.model"),
        ("stores/file", "stores.store_type"),
        ("stores/registry", "stores.layers"),
        ("stores/layers", "stores.store"),
    ],
)
def test_an_import_down_the_house_keeps_the_contracts(model_house: Path, importer: str, imported: str) -> None:
    (model_house / importer / "part.py").write_text(f"import dollhouse.{imported}\n")
    assert keeps_its_contracts(model_house)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("images/service", "instances"),
        ("instances", "images"),
        ("images/service", "streams"),
        ("instances", "streams"),
        ("stores/file", "images"),
        ("stores/file", "database"),
        ("database", "stores"),
        ("images/service", "images.http_v2"),
        ("streams", "images.http_v2"),
        ("images/service", "server"),
        ("server", "cli"),
        ("server", "testing"),
        ("cli", "testing"),
        ("images/service", "testing"),
        ("http", "testing"),
        ("testing", "cli"),
        ("testing", "images"),
        ("cli", "images.http_v2"),
        ("database", "activity"),
        ("fetching", "stores"),
        ("http", "images"),
        ("images/model", "images.catalogue"),
        ("images/catalogue", "images.access"),
        ("images/catalogue", "images.data"),
        ("images/data", "images.service"),
        ("images/service", "images.imports"),
        ("images/imports", "images.http_v2"),
        ("images/http_v2", "images.v1"),
        ("images/v1/http", "images.http_v2"),
        ("images/http", "images.http_v2"),
        ("images/v1", "images.v1.http"),
        ("instances/tokens", "instances.tokens.http"),
        ("cli", "instances.identity.http"),
        ("images/compute_proxy", "images.compute_proxy.http"),
        ("images/compute_proxy", "images.v1"),
        ("images/assembly", "images.http_v2"),
        ("images/v1", "images.assembly"),
        ("errors", "config"),
        ("config", "database"),
        ("stores/registry", "stores.file"),
        ("stores/file", "stores.registry"),
        ("stores/web", "stores.memory"),
        ("stores/layers", "stores.file"),
        ("stores/store", "stores.store_type"),
    ],
)
def test_an_import_up_or_across_the_house_breaks_a_contract(
    model_house: Path, importer: str, imported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_house / importer / "part.py").write_text(f"import dollhouse.{imported}\n")
    assert not keeps_its_contracts(model_house)
    assert f"dollhouse.{importer.replace('/', '.')}.part -> dollhouse.{imported}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "room",
    [
        "activity",
        "cli",
        "images/access",
        "images/data",
        "images/events",
        "images/imports",
        "images/service",
        "images/v1",
    ],
)
def test_sql_outside_of_a_catalogue_breaks_a_contract(
    model_house: Path, room: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (model_house / room / "part.py").write_text("from sqlalchemy import Connection\n")
    assert not keeps_its_contracts(model_house)
    assert f"dollhouse.{room.replace('/', '.')}.part -> sqlalchemy" in capsys.readouterr().out


@pytest.mark.parametrize("room", ["database", "images/catalogue"])
def test_sql_in_a_catalogue_keeps_the_contracts(model_house: Path, room: str) -> None:
    (model_house / room / "part.py").write_text("from sqlalchemy import Connection\n")
    assert keeps_its_contracts(model_house)


@pytest.mark.parametrize("where", [".", "images", "stores"])
def test_a_room_without_a_place_breaks_a_contract(model_house: Path, where: str) -> None:
    (model_house / where / "cellar.py").touch()
    assert not keeps_its_contracts(model_house)


def test_no_modules_need_each_other(graph: grimp.ImportGraph) -> None:
    """Not for types either; what a module is given it describes itself, with a protocol."""
    ours = [name for name in graph.modules if name.startswith("headwater")]
    order = TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in ours})
    order.prepare()  # raises CycleError, which names those of a circle


def rooms_of(graph: grimp.ImportGraph, folder: str) -> dict[str, set[str]]:
    """Return which rooms of a folder each of them needs, itself or in what lies in it."""
    at = {module: room for room in graph.find_children(folder) for module in (room, *graph.find_descendants(room))}
    needed: dict[str, set[str]] = {room: set() for room in at.values()}
    for module, room in at.items():
        found = {at[other] for other in graph.find_modules_directly_imported_by(module) if other in at}
        needed[room] |= found - {room}
    return needed


def test_no_rooms_need_each_other(graph: grimp.ImportGraph) -> None:
    for folder in sorted(name for name in graph.modules if name.startswith("headwater")):
        TopologicalSorter(rooms_of(graph, folder)).prepare()


def seen_from(graph: grimp.ImportGraph, module: str) -> set[tuple[str, str]]:
    """Return (importer, imported) for all that ``module`` imports, and what those import, inside Headwater.

    ``config`` is not followed: a section of settings is data, though its checks come from a library.
    """
    edges: set[tuple[str, str]] = set()
    waiting = [module]
    seen = {module}
    while waiting:
        importer = waiting.pop()
        for imported in graph.find_modules_directly_imported_by(importer):
            edges.add((importer, imported))
            if imported.startswith("headwater.") and imported != "headwater.config" and imported not in seen:
                seen.add(imported)
                waiting.append(imported)
    return edges


@pytest.mark.parametrize("model", MODELS)
def test_a_model_sees_only_its_arguments(graph: grimp.ImportGraph, model: str) -> None:
    outside = {
        (importer, imported)
        for part in (model, *graph.find_descendants(model))
        for importer, imported in seen_from(graph, part)
        if not imported.startswith("headwater.")
        and (imported in WORLD or (imported not in sys.stdlib_module_names and imported not in DATA_TYPES))
    }
    assert outside == set()


@pytest.mark.parametrize("library", ROOMS)
def test_a_library_stays_in_its_rooms(graph: grimp.ImportGraph, library: str) -> None:
    importers = graph.find_modules_that_directly_import(library) if library in graph.modules else set()
    assert [name for name in sorted(importers) if not name.startswith(ROOMS[library])] == []


def test_no_permission_is_left_over(graph: grimp.ImportGraph) -> None:
    """Whoever may use a library does: else anybody could begin to, in a room where nobody expects it."""
    contracts = ConfigParser()
    contracts.read(CONTRACTS)
    sql = contracts["importlinter:contract:sql"]["allowed_importers"].split()
    unused = [
        (library, room)
        for library, rooms in {**ROOMS, "sqlalchemy": tuple(sql)}.items()
        for room in rooms
        if not any(name.startswith(room) for name in graph.find_modules_that_directly_import(library))
    ]
    assert unused == []


def test_what_a_model_sees_is_followed_through_other_modules(graph: grimp.ImportGraph) -> None:
    """The two tests above would find it: the catalogue, for one, is no model."""
    edges = seen_from(graph, "headwater.images.catalogue.images")
    assert ("headwater.images.catalogue.images", "sqlalchemy") in edges
    assert ("headwater.database.engine", "time") in edges
