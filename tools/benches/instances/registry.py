"""What a registry of many instances costs its readers: lookups of guests and pages of lists, beside a small registry.

Both are asked in turn, in this process, so that nothing but the catalogue is in the figures.
"""

from __future__ import annotations

import contextlib
import re
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import msgspec
from sqlalchemy import Connection, insert, text
from tools.benches.plan import Plan
from tools.benches.results import Results
from tools.benches.surroundings import Databases

from headwater.database import schema
from headwater.database.engine import Database
from headwater.database.tables import instance_addresses, instances
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.lists.wanted import Wanted
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.service import Description, described

BENCH = "registry"
PAGE = 25
_OF_ONE = 50  # instances of one project, and of one image
_AT_ONCE = 5000
_MOST = 3.0  # times what the small registry takes


class _Registry:
    """One that is filled, and what is asked of it."""

    def __init__(self, database: Database, count: int) -> None:
        self.count, self.groups = count, max(1, count // _OF_ONE)
        self._rows, self._lists = InstanceRows(database), InstanceLists(database)

    def questions(self) -> Mapping[str, Callable[[int], object]]:
        """Return what is asked, each of any instance by its number."""
        return {
            "lookup by address": lambda n: self._rows.editions.at([_address(n)]),
            "show by name": lambda n: self._rows.get(_name(n)),
            "page of all": lambda n: self._page(Wanted(), n),
            "page of a project": lambda n: self._page(Wanted(project_id=_project(n % self.groups)), None),
            "page of an image": lambda n: self._page(Wanted(image_id=_image(n % self.groups)), None),
        }

    def time_ms(self, question: Callable[[int], object], times: int) -> float:
        """Return what an answer takes, in the middle."""
        took = []
        for turn in range(times):
            started = time.perf_counter()
            question(turn * 7919 % self.count)
            took.append((time.perf_counter() - started) * 1000)
        return statistics.median(took)

    def _page(self, wanted: Wanted, after: int | None) -> object:
        return self._lists.heads(wanted, after=None if after is None else _name(after // 2), limit=PAGE)


def measure(plan: Plan, results: Results) -> None:
    """Fill in how long answers take of a small and of a large registry, and how the two compare."""
    room = plan.room(BENCH)
    small, large = min(plan.registries), max(plan.registries)
    with contextlib.ExitStack() as stack:
        databases = Databases(stack)
        for kind in plan.databases:
            filled = []
            for count in (small, large):
                directory = room / f"{kind}-{count}"
                directory.mkdir()
                database = Database(databases.url(kind, directory))
                stack.callback(database.close)
                started = time.perf_counter()
                _fill(database, count)
                results.add(BENCH, f"fill {count} instances, {kind}", "s", [time.perf_counter() - started])
                filled.append(_Registry(database, count))
            _compare(plan, results, kind, *filled)


def _compare(plan: Plan, results: Results, kind: str, small: _Registry, large: _Registry) -> None:
    for what, of_small in small.questions().items():
        of_large = large.questions()[what]
        runs = [(small.time_ms(of_small, plan.pages), large.time_ms(of_large, plan.pages)) for _ in range(plan.rounds)]
        name = f"{what}, {kind}, at {small.count} instances"
        beside = results.add(BENCH, name, "ms", [one for one, _ in runs])
        name = f"{what}, {kind}, at {large.count} of them"
        figure = results.add(BENCH, name, "ms", [other for _, other in runs], beside=beside)
        results.aim(BENCH, f"{what}, {kind}: many beside few", figure.ratio, "under", _MOST, "times")


def _fill(database: Database, count: int) -> None:
    """Register instances as the service would have done, in the way of a database."""
    schema.upgrade(database)
    groups = max(1, count // _OF_ONE)
    documents = _documents(count, groups)
    while rows := [row for _, row in zip(range(_AT_ONCE), documents, strict=False)]:

        def work(connection: Connection, rows: list[dict[str, object]] = rows) -> None:
            kept = [{name: value for name, value in row.items() if name != "address"} for row in rows]
            connection.execute(insert(instances), kept)
            addresses = [{"address": row["address"], "instance_id": row["id"]} for row in rows]
            connection.execute(insert(instance_addresses), addresses)

        database.write(work)
    database.write(lambda connection: connection.execute(text("ANALYZE")))


def _documents(count: int, groups: int) -> Iterator[dict[str, object]]:
    said = Description(name="guest", user_data=b"#cloud-config\n" + b"# filler\n" * 40, meta={"role": "web"})
    made = replace(described(said), name=_name(0), addresses=(_address(0),), project_id=_project(0), image_id=_image(0))
    # One document with gaps: to encode a million of them takes minutes.
    pattern = msgspec.json.encode({"instance": made.to_dict(), "replaced": None}).decode()
    gaps = re.compile("|".join(map(re.escape, (made.id, made.name, _address(0), _project(0), _image(0)))))
    for n in range(count):
        group = n % groups
        row = {
            "id": str(uuid.UUID(int=n * 2_654_435_761 + 1)),
            "name": _name(n),
            "address": _address(n),
            "project_id": _project(group),
            "image_id": _image(group),
        }
        filled = dict(zip((made.id, made.name, _address(0), _project(0), _image(0)), row.values(), strict=True))
        document = gaps.sub(lambda found, filled=filled: filled[found[0]], pattern)  # type: ignore[misc]
        yield {
            **row,
            "created_at": made.created_at,
            "updated_at": made.updated_at,
            "revision": 0,
            "document": document,
        }


def _name(n: int) -> str:
    return f"guest-{n:07}"


def _address(n: int) -> str:
    return f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"


def _project(group: int) -> str:
    return f"{group:032x}"


def _image(group: int) -> str:
    return str(uuid.UUID(int=group + 1))
