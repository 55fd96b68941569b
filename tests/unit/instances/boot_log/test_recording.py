from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from headwater.database.engine import Database
from headwater.errors import Unavailable
from headwater.http.context import context
from headwater.instances.boot_log.entries import Entry
from headwater.instances.boot_log.recording import BootLog, Recorded
from headwater.instances.boot_log.reports import ReportInvalid, report_of
from headwater.instances.boot_log.rows import KEPT, VisitRows
from headwater.instances.registry.rows import InstanceRows
from templates import sqlite_catalogue
from unit.instances.examples import WEB_1

ENTRY = Entry(
    at=1, method="GET", document="ec2", status=200, ms=1.5, sent=3, complete=True, token=False, agent="Cloud-Init/22.4"
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
    InstanceRows(database).add(WEB_1)
    yield database
    database.close()


def ask(log: BootLog, *, known: bool = True, breaks: bool = False) -> None:
    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if known:
            context(scope).instance_id, context(scope).document = WEB_1.id, "ec2/latest/user-data"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": breaks})
        if breaks:
            raise ConnectionResetError

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_message: Message) -> None:
        pass

    headers = [(b"user-agent", b"Cloud-Init/22.4\x07" + b"x" * 500), (b"x-aws-ec2-metadata-token", b"secret")]
    scope = {"type": "http", "method": "GET", "path": "/latest/user-data", "headers": headers}
    try:
        anyio.run(Recorded(app, log, lambda: 7), scope, receive, send)
    except ConnectionResetError:
        assert breaks


def test_what_a_guest_asks_is_noted_with_what_it_got_and_without_its_token(database: Database) -> None:
    rows = VisitRows(database)
    log = BootLog(rows)
    ask(log)
    ask(log, breaks=True)
    ask(log, known=False)
    assert rows.of(WEB_1.id) == []  # nothing is written while a guest waits
    log.write()
    whole, broken = rows.of(WEB_1.id)
    assert (whole.at, whole.method, whole.document, whole.status) == (7, "GET", "ec2/latest/user-data", 200)
    assert (whole.sent, whole.complete, broken.complete, whole.token) == (4, True, False, True)
    assert whole.agent.startswith("Cloud-Init/22.4?xxx")
    assert len(whole.agent) == 120
    assert "secret" not in repr(whole)


def test_each_instance_keeps_its_newest(database: Database) -> None:
    rows = VisitRows(database)
    for at in range(0, 4 * KEPT, 50):
        rows.add({WEB_1.id: [replace(ENTRY, at=at + each) for each in range(50)]})
    kept = rows.of(WEB_1.id)
    assert [entry.at for entry in kept] == list(range(3 * KEPT, 4 * KEPT))
    with database._reading.connect() as connection:
        count = connection.exec_driver_sql("SELECT SUM(entries) FROM instance_visits").scalar_one()
    assert KEPT <= count <= 2 * KEPT


def test_what_is_noted_of_an_instance_that_is_gone_keeps_nothing_of_others_back(database: Database) -> None:
    log = BootLog(VisitRows(database))
    log.note("00000000-0000-4000-8000-00000000dead", ENTRY)
    log.note(WEB_1.id, ENTRY)
    log.write()
    assert VisitRows(database).of(WEB_1.id) == [ENTRY]
    InstanceRows(database).remove(WEB_1.id)
    assert VisitRows(database).of(WEB_1.id) == []


def test_a_silent_catalogue_is_tried_again_and_a_guest_that_asks_in_a_loop_fills_no_memory() -> None:
    class Silent(VisitRows):
        def __init__(self) -> None:
            self.got: list[int] = []
            self.silent = True

        def add(self, entries: object) -> None:
            if self.silent:
                raise Unavailable("silent")
            assert isinstance(entries, dict)
            self.got.append(sum(len(each) for each in entries.values()))

    rows = Silent()
    log = BootLog(rows)
    for _ in range(1000):
        log.note(WEB_1.id, ENTRY)
    with pytest.raises(Unavailable):
        log.write()
    rows.silent = False
    log.write()
    log.write()
    assert rows.got == [200]


def test_a_report_is_what_cloud_init_posts() -> None:
    body = (
        b'{"name": "init-network/search-OpenStack", "description": "searching\\u0007", "event_type": "finish",'
        b' "origin": "cloudinit", "timestamp": 1.5, "result": "SUCCESS", "files": [{"content": "c2VjcmV0"}]}'
    )
    report = report_of(body)
    assert (report.name, report.event, report.result) == ("init-network/search-OpenStack", "finish", "SUCCESS")
    assert report.description == "searching?"


@pytest.mark.parametrize("result", [b"null", b'""'], ids=["null", "empty"])
def test_a_report_without_a_result_has_none(result: bytes) -> None:
    assert report_of(b'{"name": "a", "event_type": "finish", "result": %s}' % result).result is None


@pytest.mark.parametrize(
    ("given", "result"),
    [("", None), (" ", None), (None, None), ("SUCCESS", "SUCCESS"), ("FAIL", "FAIL"), ("odd\x1b", "odd?")],
    ids=["empty", "blank", "null", "success", "fail", "odd"],
)
def test_a_result_that_says_nothing_is_none(given: str | None, result: str | None) -> None:
    body = json.dumps({"name": "modules-final", "event_type": "finish", "result": given})
    assert report_of(body.encode()).result == result


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"name": 1, "event_type": "x"}', b"[" * 100_000, b'{"name": "a"}']
)
def test_anything_else_is_none(body: bytes) -> None:
    with pytest.raises(ReportInvalid):
        report_of(body)


def test_requests_stand_in_the_order_in_which_they_came_whichever_ends_first(database: Database) -> None:
    rows = VisitRows(database)
    log = BootLog(rows)
    clock = count(1)
    answered: list[str] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        context(scope).instance_id, context(scope).document = WEB_1.id, scope["path"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"all"})

    recorded = Recorded(app, log, lambda: next(clock))

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and not answered:
            answered.append("first")
            await recorded(asked("second"), receive, send)  # by a guest that has its answer

    def asked(path: str) -> Scope:
        return {"type": "http", "method": "GET", "path": path, "headers": []}

    anyio.run(recorded, asked("first"), receive, send)
    log.write()
    assert [entry.document for entry in rows.of(WEB_1.id)] == ["first", "second"]
