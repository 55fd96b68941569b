"""What ``make audit`` says, and that it never says "nothing is known" of what was not looked up."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from needs import CHECKOUT

TOOL = runpy.run_path(str(CHECKOUT / "tools" / "audit.py"))
main: Callable[[Callable[[Path, str], Mapping[str, object] | None]], int] = TOOL["main"]

CLEAR = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "not there"}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["2.1"]}]}


def audit(monkeypatch: pytest.MonkeyPatch, **databases: list[dict[str, Any]]) -> int:
    """Run it with what each database says; one that is not given cannot be asked."""
    monkeypatch.setattr(sys, "argv", ["audit.py", "run"])
    return main(lambda _lock, name: {"dependencies": databases[name]} if name in databases else None)


def test_nothing_known_is_0_and_something_is_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(monkeypatch, pypi=[CLEAR]) == 0
    assert "1 packages with nothing known against them, 0 others" in capsys.readouterr().out
    assert audit(monkeypatch, pypi=[CLEAR, BAD]) == 1
    assert "run.txt: b 2: CVE-2026-1 (fixed in: 2.1)" in capsys.readouterr().out


def test_a_package_that_one_database_does_not_know_is_asked_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    assert audit(monkeypatch, pypi=[CLEAR, SKIPPED], osv=[CLEAR, {**BAD, "vulns": []}]) == 0
    assert audit(monkeypatch, pypi=[CLEAR, SKIPPED], osv=[CLEAR, BAD]) == 1
    assert audit(monkeypatch, osv=[CLEAR, BAD]) == 1


@pytest.mark.parametrize("pypi", [[CLEAR, SKIPPED], [SKIPPED], []])
def test_what_was_not_looked_up_is_said_and_is_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], pypi: list[dict[str, Any]]
) -> None:
    assert audit(monkeypatch, pypi=pypi) == 3
    assert "NOT LOOKED UP" in capsys.readouterr().out
    assert audit(monkeypatch) == 3
    assert "no database of vulnerabilities can be reached" in capsys.readouterr().out


def test_what_is_known_counts_also_where_not_all_was_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert audit(monkeypatch, pypi=[BAD, {**SKIPPED, "name": "c"}]) == 1
