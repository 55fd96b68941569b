from __future__ import annotations

import tracemalloc

import pytest

from contracts.registry import RegistryContract, an_instance
from headwater.database.engine import Database
from headwater.instances import registry as registry_module
from headwater.instances.registry import InstanceRows
from questions import plan, questions


class TestRegistryOnSqlite(RegistryContract):
    """In the quick run too."""

    def test_a_list_reads_no_document_and_comes_from_an_index(
        self, database: Database, registry: InstanceRows, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n in range(30):
            registry.add(an_instance(f"web{n:02}", f"10.0.0.{n + 1}", user_data="QUFB" * 10_000))
        monkeypatch.setattr(registry_module, "_record", None)
        tracemalloc.start()
        try:
            with questions() as asked:
                shown = [head.name for head in registry.heads(after="web09", limit=10)]
            assert tracemalloc.get_traced_memory()[1] < 40_000 * 4
        finally:
            tracemalloc.stop()
        assert shown == [f"web{n}" for n in range(10, 20)]
        [question] = asked
        [step] = plan(database, question)
        assert step.startswith("SEARCH instances USING INDEX")
