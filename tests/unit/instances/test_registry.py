from __future__ import annotations

import tracemalloc

import pytest
from sqlalchemy import event

from contracts.registry import RegistryContract, an_instance
from headwater.database.engine import Database
from headwater.instances import registry as registry_module
from headwater.instances.registry import Registry


class TestRegistryOnSqlite(RegistryContract):
    """In the quick run too."""

    def test_a_list_reads_no_document_and_comes_from_an_index(
        self, database: Database, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n in range(30):
            registry.add(an_instance(f"web{n:02}", f"10.0.0.{n + 1}", user_data="QUFB" * 10_000))
        monkeypatch.setattr(registry_module, "_record", None)
        asked: list[tuple[str, object]] = []

        def note(_connection: object, _cursor: object, statement: str, values: object, *_: object) -> None:
            asked.append((statement, values))

        event.listen(database.engine, "before_cursor_execute", note)
        tracemalloc.start()
        try:
            assert [head.name for head in registry.heads(after="web09", limit=10)] == [f"web{n}" for n in range(10, 20)]
            assert tracemalloc.get_traced_memory()[1] < 40_000 * 4
        finally:
            tracemalloc.stop()
            event.remove(database.engine, "before_cursor_execute", note)
        [(statement, values)] = asked
        with database.engine.connect() as connection:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]  # type: ignore[arg-type]  # as it was asked
        assert len(plan) == 1
        assert plan[0].startswith("SEARCH instances USING INDEX")
