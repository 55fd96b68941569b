from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headwater.errors import SettingsError
from headwater.streams.syncing.hooks import CommandHooks, HookFailed, command_from
from headwater.streams.syncing.items import Key
from headwater.streams.syncing.planning import Action, Step
from headwater.streams.syncing.running import Report

STEP = Step(Key("s", "p", "v", "i"), Action.CREATE, image={"id": "an-id", "name": "a; touch x"}, did="created")
TELLS = "import os,sys; open(sys.argv[1],'a').write(repr(sorted((n,v) for n,v in os.environ.items() if 'SYNC' in n)))"


def hooks(**more: object) -> CommandHooks:
    return CommandHooks("source", "target", environment={"PATH": "/usr/bin:/bin"}, **more)  # type: ignore[arg-type]


def test_a_command_is_told_what_was_done(tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = (sys.executable, "-c", TELLS, str(told))
    run = hooks(image=command, end=command)
    run.after_image(STEP)
    run.at_end(Report([STEP], ["one"]))
    text = told.read_text()
    for name, value in (("IMAGE_ID", "an-id"), ("IMAGE_NAME", "a; touch x"), ("ACTION", "created"), ("ITEM", "i")):
        assert f"('HEADWATER_SYNC_{name}', '{value}')" in text
    assert "('HEADWATER_SYNC_EVENT', 'end')" in text
    assert "('HEADWATER_SYNC_FAILED', '1')" in text


def test_what_a_shell_would_do_is_not_done(tmp_path: Path) -> None:
    hooks(image=("echo", f"$(touch {tmp_path / 'x'})", ";", "touch", str(tmp_path / "y"))).after_image(STEP)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("sh", "-c", "echo why; exit 3"), "ended with 3: why"),
        (("/no/such/command",), "No such file"),
        (("sleep", "20"), "longer than 0.2 s"),
    ],
)
def test_a_command_that_fails_is_told_of(command: tuple[str, ...], words: str) -> None:
    with pytest.raises(HookFailed, match=words):
        hooks(image=command, timeout_s=0.2 if command[0] == "sleep" else 20).after_image(STEP)


def test_without_a_command_nothing_is_run() -> None:
    hooks().after_image(STEP)
    hooks().at_end(Report([]))


def test_a_command_line_is_words() -> None:
    assert command_from("a 'b c' d") == ("a", "b c", "d")
    for bad in ("", "  ", "a 'b"):
        with pytest.raises(SettingsError):
            command_from(bad)
