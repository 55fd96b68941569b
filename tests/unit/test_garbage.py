"""Modules that are loaded without a search for garbage."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from headwater.garbage import no_garbage_search


def _searches() -> int:
    return sum(each["collections"] for each in gc.get_stats())


def test_nothing_is_searched_while_modules_are_loaded_and_what_they_made_is_not_searched_later() -> None:
    before, frozen = _searches(), gc.get_freeze_count()
    try:
        with no_garbage_search():
            made = [{"a": [number]} for number in range(100_000)]
            assert _searches() == before
        assert gc.get_freeze_count() >= frozen + len(made)
    finally:
        gc.unfreeze()


def test_what_fails_to_load_leaves_the_search_as_it_was() -> None:
    try:
        with pytest.raises(ImportError), no_garbage_search():
            raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_a_service_loads_nothing_that_only_others_need() -> None:
    others = {"alembic", "boto3", "keystoneauth1", "openstack", "pycdlib", "requests", "swiftclient"}
    program = (
        f"import sys, headwater.cli.commands.serve, headwater.server.supervisor; print({others} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "set()"
