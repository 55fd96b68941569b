"""Start a cloud, run the suites, and compare what they say with the page, or write the page.

The exit code is 0 when every test is as the page says, 1 when not, 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from conformance import page, reasons
from conformance.comparison import Difference, compare, unexplained
from conformance.page import Row, Run
from conformance.results import Result, by_test
from conformance.suites import Suites, SuitesDidNotRun
from conformance.surroundings import cloud
from functional.headwater_process import HeadwaterDidNotStart
from needs import CHECKOUT
from servers.process import ServerDidNotStart

STANDARD = Run(
    "standard",
    "the settings of the program, so far as no test needs another.",
    """
[policy]
enforce_scope = true
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "http://127.0.0.1:5000/v3"
username = "headwater"
password = "its password"
[images]
import_methods = ["glance-direct", "web-download", "copy-image", "glance-download"]
show_multiple_locations = true
[fetch]
allowed_hosts = ["127.0.0.1", "address-of-this-machine"]
allowed_ports = []
[cache]
directory = "cache"
[stores.file]
type = "file"
[stores.web]
type = "http"
""",
)
LENIENT = Run(
    "lenient",
    "a service that takes any bytes in any format, as the tests of lists upload the same random bytes in each of them.",
    """
[policy]
enforce_scope = true
[images]
require_format_match = false
show_multiple_locations = true
do_secure_hash = false
[fetch]
allowed_hosts = ["127.0.0.1", "address-of-this-machine"]
allowed_ports = []
[stores.more]
type = "file"
[stores.file]
type = "file"
[stores.web]
type = "http"
""",
)
LIMITED = Run(
    "limited",
    "a service that takes the limits of projects from Keystone.",
    """
[policy]
enforce_scope = true
[auth]
mode = "keystone"
[auth.keystone]
auth_url = "http://127.0.0.1:5000/v3"
username = "headwater"
password = "its password"
[quotas]
use_keystone_limits = true
[quotas.keystone]
service_name = "glance"
region = "RegionOne"
cache_s = 0
""",
)
SEVERAL = Run(
    "several",
    "a service with several stores.",
    """
[policy]
enforce_scope = true
[images]
show_multiple_locations = true
[fetch]
allowed_hosts = ["127.0.0.1", "address-of-this-machine"]
allowed_ports = []
[stores.cheap]
type = "file"
weight = 100
[stores.fast]
type = "file"
weight = 100
[stores.web]
type = "http"
""",
)
WEIGHED = Run(
    "weighed",
    "a service with several stores of different weights.",
    """
[policy]
enforce_scope = true
[stores.cheap]
type = "file"
weight = 100
[stores.fast]
type = "file"
weight = 300
""",
)
RUNS = (STANDARD, LENIENT, LIMITED, SEVERAL, WEIGHED)
# Everything else belongs to the standard run.
_OTHER_TESTS: Mapping[str, re.Pattern[str]] = {
    LENIENT.name: re.compile(r"\.ListUserImagesTest\.|\.test_add_location_with_do_secure_hash_false\b"),
    LIMITED.name: re.compile(r"\.test_unified_limits\."),
    WEIGHED.name: re.compile(r"\.StoreWeightTest\."),
    SEVERAL.name: re.compile(
        r"\.(MultiStoresImagesTest|MultiStoresImportImagesTest|ImportCopyImagesTest|ImportImagesNegativeTest)\."
        r"|\.MultistoreLocationImportTest\.test_add_location_for_image_with_do_secure_hash_true\b"
    ),
}
_TEMPEST: Mapping[str, Mapping[str, str]] = {
    LENIENT.name: {"formats_are_checked": "false", "locations_are_hashed": "false"},
    WEIGHED.name: {"stores_are_weighed": "true"},
}
_USUAL = {"formats_are_checked": "true", "locations_are_hashed": "true", "stores_are_weighed": "false"}
_LINES = 25  # of what a suite said about one test


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)  # so that servers are stopped on the way out
    directory = Path(tempfile.mkdtemp(prefix="headwater-conformance-"))
    try:
        known = reasons.read(reasons.FILE.read_text())
        results = _results(directory, given.tests)
        if not results:
            print("conformance: no test has such a name")
            return 2
        return _write(results, known) if given.write else _compare(results, known, whole=given.tests is None)
    except (
        SuitesDidNotRun,
        HeadwaterDidNotStart,
        ServerDidNotStart,
        pytest.skip.Exception,
        pytest.fail.Exception,
    ) as error:
        print(f"conformance: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if given.keep is None:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            shutil.move(directory, given.keep)
            print(f"what the servers and the suites wrote is in {given.keep}")


def _results(directory: Path, only: re.Pattern[str] | None) -> dict[str, Result]:
    found: dict[str, Result] = {}
    with cloud(directory, RUNS) as running:
        for run in RUNS:
            began = time.monotonic()
            home = directory / f"tempest-{run.name}"
            home.mkdir()
            suites = Suites.prepare(home, {**running.tempest_values(run), **_USUAL, **_TEMPEST.get(run.name, {})})
            tests = [
                test for test in suites.tests() if _run_of(test) == run.name and (only is None or only.search(test))
            ]
            results = by_test(run.name, tests, suites.run(tests) if tests else [])
            counts = Counter(result.outcome.value for result in results.values())
            said = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())) or "no tests"
            print(f"{run.name}: {said} in {time.monotonic() - began:.0f} s", flush=True)
            found |= results
    return found


def _run_of(test: str) -> str:
    return next((name for name, tests in _OTHER_TESTS.items() if tests.search(test)), STANDARD.name)


def _compare(results: Mapping[str, Result], known: Sequence[reasons.Reason], *, whole: bool) -> int:
    text = page.FILE.read_text() if page.FILE.exists() else ""
    differences = list(compare(page.rows(text), results, known, whole=whole))
    if differences:
        _print(differences)
        print(
            f"{len(differences)} tests are not as docs/compatibility.md says. If that is how it should be from now on,"
        )
        print("give a reason to what does not pass (tests/conformance/reasons.toml), and then")
        print("make test-conformance ARGS=--write")
        return 1
    excused = {test: excuse for test, result in results.items() if (excuse := reasons.excuse(known, result))}
    for test, excuse in excused.items():
        print(f"{test} could not run: {excuse}")
    if whole and not excused and text != _page(results, known):
        print("docs/compatibility.md has the right results, but not the text that belongs to them:")
        print("make test-conformance ARGS=--write")
        return 1
    if whole and (left := reasons.unused(known, results.values())):
        for reason in left:
            print(f"{reasons.FILE.name}: no test needs this reason any more: {reason.why} ({', '.join(reason.tests)})")
        return 1
    print(f"{len(results) - len(excused)} tests are as docs/compatibility.md says")
    return 0


def _write(results: Mapping[str, Result], known: Sequence[reasons.Reason]) -> int:
    if missing := list(unexplained(results, known)):
        _print(missing)
        print("docs/compatibility.md was not written")
        return 1
    page.FILE.write_text(_page(results, known))
    print(f"written to {page.FILE.relative_to(CHECKOUT)}")
    return 0


def _page(results: Mapping[str, Result], known: Sequence[reasons.Reason]) -> str:
    rows = {
        test: Row(test, result.run, result.outcome, reasons.why(known, result) or "")
        for test, result in results.items()
    }
    versions = {program: _version(program, lock_file) for program, lock_file in _PROGRAMS.items()}
    return page.render(rows, RUNS, versions)


_PROGRAMS = {"tempest": "conformance.txt", "glance-tempest-plugin": "conformance.txt", "keystone": "keystone.txt"}


def _version(program: str, lock_file: str) -> str:
    found = re.search(rf"^{re.escape(program)}==(\S+)", (CHECKOUT / "requirements" / lock_file).read_text(), re.M)
    assert found is not None, f"{program} is not in {lock_file}"
    return found[1]


def _print(differences: Iterable[Difference]) -> None:
    for difference in differences:
        print(f"\n{difference.test}\n    {difference.sentence}")
        for line in difference.says.splitlines()[-_LINES:]:
            print(f"    | {line}")
    print()


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make test-conformance", description="Run the suites of the OpenStack project; see docs/compatibility.md."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help="write docs/compatibility.md from this run")
    what.add_argument("--tests", type=re.compile, metavar="REGEX", help="only the tests with such a name")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="leave there what servers and suites wrote")
    return parser
