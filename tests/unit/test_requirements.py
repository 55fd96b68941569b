"""The requirement files: one version of each package, and of what the program names no more than it needs."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from needs import CHECKOUT

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
LOCKS = sorted((CHECKOUT / "requirements").glob("*.txt"))


def direct(name: str) -> set[str]:
    """Return what a file of direct requirements names, as packages write their names now."""
    lines = (CHECKOUT / "requirements" / f"{name}.in").read_text().split()
    return {normal(line) for line in lines if line != "-r" and not line.endswith(".in")}


def normal(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", requirement.partition("[")[0]).lower()


def locked(name: str) -> dict[str, str]:
    """Return the versions in a lock file by package."""
    text = (CHECKOUT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,-]+\])?==(\S+)", text, re.MULTILINE))


def test_the_package_needs_what_the_lock_of_the_run_is_made_of() -> None:
    assert {normal(each) for each in PROJECT["dependencies"]} == direct("run")
    extras = {name: {normal(each) for each in needed} for name, needed in PROJECT["optional-dependencies"].items()}
    assert extras == {"rabbitmq": direct("rabbitmq")}


@pytest.mark.parametrize("name", ["rabbitmq", "test"])
def test_what_is_installed_beside_the_run_has_its_versions(name: str) -> None:
    run, beside = locked("run"), locked(name)
    assert {each: beside[each] for each in beside.keys() & run.keys()} == {
        each: run[each] for each in beside.keys() & run.keys()
    }


def test_the_tests_have_the_run_and_every_extra() -> None:
    assert locked("test").items() >= locked("run").items() | locked("rabbitmq").items()


def test_the_run_has_neither_what_builds_packages_nor_what_only_an_extra_needs() -> None:
    assert locked("run").keys().isdisjoint({*direct("build"), *direct("rabbitmq"), "kombu", "eventlet", "wheel", "pip"})
    assert {"hatchling", "editables"} <= locked("build").keys()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_package_is_pinned_with_its_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    assert [entry for entry in entries if not re.search(r"==\S.*--hash=sha256:[0-9a-f]{64}", entry, re.DOTALL)] == []


def imported(*folders: str) -> dict[str, str]:
    """Return the packages that Python files import, each with one file that does; what nobody installed is left out."""
    owners = packages_distributions()
    found: dict[str, str] = {}
    for path in (path for folder in folders for path in (CHECKOUT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            for name in names:
                for owner in owners.get(name.partition(".")[0], []):
                    found.setdefault(normal(owner), str(path.relative_to(CHECKOUT)))
    return found


def test_what_the_program_imports_it_names() -> None:
    named = {normal(each) for each in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["rabbitmq"])}
    named |= {"headwater", "pytest", "hypothesis"}  # who runs the suites of headwater.testing has these
    assert {name: file for name, file in imported("src").items() if name not in named} == {}


def test_what_tests_and_tools_import_is_locked() -> None:
    """An environment keeps what earlier locks had, so it alone shows nothing."""
    known = {*locked("test"), *locked("audit"), "headwater"}
    assert {name: file for name, file in imported("tests", "tools").items() if name not in known} == {}
