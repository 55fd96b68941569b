"""What ``tools/check_files.py`` finds in a file, and what it leaves alone."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from needs import CHECKOUT

TOOL = runpy.run_path(str(CHECKOUT / "tools" / "check_files.py"))
problems: Callable[[str, bytes, Path], Iterator[str]] = TOOL["problems"]
files: Callable[[Path], list[str]] = TOOL["files"]

HERE = Path("/srv/build/checkout")
HOME = "/".join(("", "home", "anna", "key"))  # in parts, so that the check does not find this file
UBUNTU = "/".join(("", "home", "ubuntu"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("Makefile", f"curl https://{TOOL['HOSTS'][0]}/simple"),
        ("requirements/run.txt", f"--index-url https://files.{TOOL['HOSTS'][1]}"),
        ("requirements/run.txt", "thing @ " + "/".join(("https:", "", "example.com", "thing.whl"))),
        ("docs/a.md", f"cp {HOME} ."),
        ("docs/a.md", "cd /srv/build/checkout && make"),
        ("docs/a.md", "see /srv/build/checkout."),
        ("docs/a.md", "see " + "/".join(("..", "shared", "notes.md"))),
        ("disk.img", "x" * (1 << 20) + "x"),
    ],
)
def test_what_must_not_be_in_a_file_is_found(name: str, content: str) -> None:
    assert [problem.startswith(name) for problem in problems(name, content.encode(), HERE)][:1] == [True]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", "curl http://127.0.0.1:9292/healthcheck"),
        ("docs/a.md", "https://docs.openstack.org/glance/"),
        ("docs/a.md", f"the image's user is {UBUNTU}, its key " + "/".join(("", "root", ".ssh", "authorized_keys"))),
        ("docs/a.md", "/srv/build/checkout-of-another"),
        ("docs/a.md", "/usr/lib/postgresql/15/bin"),
        ("requirements/run.txt", "starlette==1.0 --hash=sha256:00"),
        ("disk.img", "x" * (1 << 20)),
    ],
)
def test_what_may_be_in_a_file_is_left_alone(name: str, content: str) -> None:
    assert list(problems(name, content.encode(), HERE)) == []


def test_without_git_every_file_that_no_target_makes_is_looked_at(tmp_path: Path) -> None:
    for name in ("Makefile", "tests/data/stream.json", ".venv/bin/pip", "data/images/1", "src/__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert files(tmp_path) == ["Makefile", "tests/data/stream.json"]
