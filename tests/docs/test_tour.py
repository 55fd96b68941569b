"""Every command of the tour in README, in its order, against the real service with the real clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.pages import README, matches, section
from docs.walks import require_as_shown, script, steps
from functional.headwater_process import HeadwaterProcess
from needs import CHECKOUT, program

TOUR = section(README.read_text(encoding="utf-8"), "Five minutes")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path, first_start=True)
    process.start()
    yield process
    process.kill()


@pytest.mark.slow
def test_every_command_of_the_tour_works_and_shows_what_the_page_says(
    service: HeadwaterProcess, openstack_client: Path, tmp_path: Path
) -> None:
    for name in ("curl", "qemu-img", "cmp", "bash"):
        program(name)
    for name in (".venv", ".venv-clients"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    assert openstack_client.is_relative_to(CHECKOUT)
    service.config_file.unlink()  # the tour goes without one

    walk = steps(TOUR)
    commands = script(walk)
    for default, url in (("127.0.0.1:9292", service.images_url), ("127.0.0.1:8775", service.metadata_url)):
        assert default in commands
        commands = commands.replace(default, url.removeprefix("http://"))
    require_as_shown(walk, commands, tmp_path)


def test_the_tour_has_all_its_steps() -> None:
    commands = "".join(commands for commands, _ in steps(TOUR))
    for part in (
        "openstack image create",
        "image list",
        "image save",
        "streams/v1/index.json",
        "instance add",
        "config-drive",
    ):
        assert part in commands


@pytest.mark.parametrize(
    ("expected", "output", "missing"),
    [
        ("| a | b |", "+---+\n| a    | b   |\n", None),
        ("wrote … bytes", "wrote x.iso: 5 bytes for web1", None),
        ("b\na", "a\nb", "a"),
        ("404", "200", "404"),
    ],
)
def test_output_is_compared_loosely_and_not_too_loosely(expected: str, output: str, missing: str | None) -> None:
    assert matches(expected, output) == missing
