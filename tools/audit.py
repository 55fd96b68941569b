"""Look the locked packages up in the databases of known vulnerabilities, as far as these can be reached.

The lock files are looked up as they are, so what is not installed on this machine is looked up too. pip-audit asks;
what one database does not have is asked of the next. A package that none of them has was not looked up: "nothing is
known" would be a guess, so that has an exit code of its own.

Exit code: 0 nothing is known against any package, 1 something is, 3 not all could be looked up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DATABASES = ("pypi", "osv")  # as pip-audit calls them
TIMEOUT_S = 15  # of each question
FOUND, NOT_LOOKED_UP = 1, 3


@dataclass
class Report:
    """What the databases say of one lock file."""

    found: dict[str, list[str]] = field(default_factory=dict)  # package and version: what is known against it
    clear: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)  # in no database that answered

    @property
    def is_complete(self) -> bool:
        """Every package was looked up."""
        return not self.unknown and bool(self.clear or self.found)

    def add(self, document: Mapping[str, object]) -> None:
        """Take in what pip-audit wrote of one database."""
        dependencies = document["dependencies"]
        assert isinstance(dependencies, list)
        for each in dependencies:
            if "skip_reason" in each:
                self.unknown.add(each["name"])
                continue
            name = f"{each['name']} {each['version']}"
            if each["vulns"]:
                fixed = {v["id"]: ", ".join(v["fix_versions"]) or "no release yet" for v in each["vulns"]}
                self.found[name] = [f"{known} (fixed in: {versions})" for known, versions in fixed.items()]
            else:
                self.clear.add(name)
        self.unknown -= {name.split()[0] for name in (*self.clear, *self.found)}


Ask = Callable[[Path, str], Mapping[str, object] | None]


def ask(lock: Path, database: str) -> Mapping[str, object] | None:
    """Return what pip-audit writes of a lock file; ``None`` when the database cannot be asked."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "found.json"
        words = ["--requirement", str(lock), "--require-hashes", "--disable-pip", "--progress-spinner", "off"]
        words += ["--vulnerability-service", database, "--timeout", str(TIMEOUT_S)]
        words += ["--format", "json", "--output", str(output)]
        subprocess.run([sys.executable, "-m", "pip_audit", *words], capture_output=True, check=False)
        # Its exit code is 1 for a vulnerability and for a database that is away: what it wrote tells them apart.
        try:
            document: Mapping[str, object] = json.loads(output.read_bytes())
        except (OSError, ValueError):
            return None
        return document


def look_up(lock: Path, ask: Ask = ask) -> Report:
    """Ask one database after the other until every package was looked up."""
    report = Report()
    for database in DATABASES:
        document = ask(lock, database)
        if document is not None:
            report.add(document)
        if report.is_complete:
            break
    return report


def main(ask: Ask = ask) -> int:
    """Look up what operators install, or the lock files that are named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", default=["run", "rabbitmq"], help="lock files: run, rabbitmq, test, …")
    status = 0
    for name in parser.parse_args().names:
        report = look_up(CHECKOUT / "requirements" / f"{name}.txt", ask)
        for package, known in sorted(report.found.items()):
            print(f"{name}.txt: {package}: {'; '.join(known)}")
        if report.is_complete:
            said = f"{len(report.clear)} packages with nothing known against them, {len(report.found)} others"
        elif report.clear or report.found:
            said = f"NOT LOOKED UP, as no database that answers has them: {', '.join(sorted(report.unknown))}"
        else:
            said = "NOT LOOKED UP: no database of vulnerabilities can be reached from here"
        print(f"{name}.txt: {said}")
        if report.found:
            status = FOUND
        elif not report.is_complete:
            status = status or NOT_LOOKED_UP
    return status


if __name__ == "__main__":
    sys.exit(main())
