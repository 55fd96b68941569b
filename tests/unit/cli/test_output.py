"""What commands print, and what they say when something goes wrong."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import typer

from headwater.cli import output
from headwater.cli.main import app, main
from headwater.errors import Conflict, Forbidden, HeadwaterError, Unauthenticated

# They print no data: a server says that it is ready, a proxy speaks HTTP.
SAY_ONLY = {("serve",), ("worker",), ("metadata-proxy",)}


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    below: dict[str, Any] = getattr(command, "commands", {})
    if not below:
        yield words, command
    for name, inner in below.items():
        yield from commands(inner, (*words, name))


ALL = dict(commands(typer.main.get_command(app)))


def test_every_command_that_prints_data_takes_json() -> None:
    assert len(ALL) > 15
    without = {words for words, command in ALL.items() if not any("--json" in each.opts for each in command.params)}
    assert without == SAY_ONLY


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(words)
        printed = capsys.readouterr()
        return int(caught.value.code or 0), printed.out, printed.err

    return run


@pytest.mark.parametrize("words", [("--version",), ("config", "show"), ("config", "show", "--json")], ids=" ".join)
def test_output_that_cannot_be_written_is_said_in_one_sentence(
    run: Any, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code, _, err = run(*words)
        assert full.closed  # nothing is left that the end of the program would write
    assert code == 1
    assert "could not be written: No space left on device" in err
    assert len(err.splitlines()) == 1


def test_a_program_whose_output_is_closed_does_its_work(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert run("config", "show") == (0, "", "")
    sys.stdout.close()


def test_an_error_of_a_file_is_no_error_of_the_output() -> None:
    with pytest.raises(FileNotFoundError), output.written():
        Path("/no/such/file").read_text()


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
def test_what_another_file_or_connection_refuses_is_no_error_of_the_output(number: int) -> None:
    with pytest.raises(OSError, match="elsewhere") as caught, output.written():
        raise OSError(number, "elsewhere")
    assert caught.value.errno == number
    assert not sys.stdout.closed


@pytest.mark.parametrize("is_text", [True, False], ids=["text", "bytes"])
def test_a_reader_who_has_read_enough_ends_the_command(monkeypatch: pytest.MonkeyPatch, is_text: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe:  # noqa: PTH123 - of a descriptor
        monkeypatch.setattr(sys, "stdout", pipe)
        with output.written():
            _ = sys.stdout.write("a") if is_text else sys.stdout.buffer.write(b"a")
        assert pipe.closed


@pytest.mark.parametrize("words", sorted(set(ALL) - SAY_ONLY), ids=" ".join)
def test_under_json_a_wrong_usage_of_any_command_is_one_object(run: Any, words: tuple[str, ...]) -> None:
    code, out, err = run(*words, "--json", "--no-such-option")
    assert (code, out) == (2, "")
    (error,) = json.loads(err).values()
    assert error["type"] == "UsageError"
    assert "--no-such-option" in error["message"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--json",), "No such option: --json"),
        (("nonsense", "--json"), "No such command 'nonsense'."),
        (("instance", "show", "--json"), "Missing argument 'INSTANCE'."),
        (("instance", "add", "--json"), "Missing option '--name'."),
        (("db", "purge", "--json", "--age-in-days", "x"), "'--age-in-days': Input should be a valid integer"),
        (("db", "purge", "--json", "--max-rows", "-1"), "'--max-rows': Input should be greater than or equal to 0"),
    ],
)
def test_each_kind_of_wrong_usage_says_what_is_wrong(run: Any, words: tuple[str, ...], says: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert says in json.loads(err)["error"]["message"]


def test_without_json_a_wrong_usage_is_explained_in_words(run: Any) -> None:
    code, out, err = run("instance", "show")
    assert (code, out) == (2, "")
    assert "Usage: " in err
    assert "INSTANCE" in err


def test_what_goes_wrong_is_a_sentence_or_an_object_with_its_facts(run: Any) -> None:
    assert run("db", "upgrade", "--json")[0] == 0
    sentence = "there is no instance 'web1'; 'headwater instance list' shows those there are"
    assert run("instance", "show", "web1") == (1, "", f"headwater: {sentence}\n")
    code, out, err = run("instance", "show", "web1", "--json")
    assert (code, out) == (1, "")
    assert json.loads(err) == {"error": {"type": "InstanceNotFound", "message": sentence, "wanted": "web1"}}
    assert err.count("\n") == 1


def test_wrong_settings_and_wrong_arguments_are_objects_with_exit_code_2(run: Any, tmp_path: Path) -> None:
    (tmp_path / "headwater.toml").write_text("nonsense = 1\n")
    code, out, err = run("config", "check", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["type"] == "SettingsError"
    code, _, err = run("instance", "add", "--name", "a", "--meta", "x", "--json")
    error = json.loads(err)["error"]
    assert (code, error["type"], error["option"]) == (2, "ArgumentWrong", "--meta")


def test_a_check_that_found_something_prints_it_and_complains_of_nothing(run: Any, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text('"get_imagine": "@"\n')
    code, out, err = run("policy", "check", "--file", "policy.yaml", "--json")
    assert (code, err) == (1, "")
    assert json.loads(out)["warnings"][0]["rule"] == "get_imagine"


def test_what_every_command_prints_under_json_is_one_document(run: Any) -> None:
    documents: dict[tuple[str, ...], Any] = {}
    for words in (("db", "upgrade"), ("db", "check"), ("config", "check"), ("config", "sample"), ("policy", "sample")):
        code, out, err = run(*words, "--json")
        assert (code, err) == (0, "")
        documents[words] = json.loads(out)
    assert documents["db", "upgrade"]["upgraded"] is True
    assert documents["db", "check"] == {"schema": documents["db", "upgrade"]["schema"], "right": True}
    assert documents["config", "check"] == {"right": True, "problems": []}
    assert {"key": "server.bind", "meaning": "HOST:PORT of the image API and the streams."}.items() <= next(
        each for each in documents["config", "sample"] if each["key"] == "server.bind"
    ).items()
    assert {each["rule"] for each in documents["policy", "sample"]} >= {"get_image", "add_image"}


def test_after_two_dashes_json_is_a_name_like_others(run: Any) -> None:
    assert output.wants_json(["instance", "show", "web1", "--json"])
    assert not output.wants_json(["instance", "show", "--", "--json"])
    assert not output.wants_json([])
    run("db", "upgrade")
    assert run("instance", "show", "--", "--json")[2].startswith("headwater: there is no instance '--json'")


class Colour(StrEnum):
    RED = "red"


class Painted(Conflict):
    """Facts of every kind."""

    def __init__(self) -> None:
        super().__init__("it is red ☃")
        self.colour, self.path, self.names, self._hidden = Colour.RED, Path("/a"), frozenset({"x"}), object()
        self.message = self.type = "not these"


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (Painted(), {"type": "Painted", "message": "it is red ☃", "colour": "red", "path": "/a", "names": ["x"]}),
        (Unauthenticated("who?", "Basic"), {"type": "Unauthenticated", "message": "who?"}),
        (Forbidden("no"), {"type": "Forbidden", "message": "no"}),
    ],
)
def test_the_facts_of_an_error_are_its_fields(
    error: HeadwaterError, facts: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    output.complain(error, as_json=True)
    assert json.loads(capsys.readouterr().err) == {"error": facts}


def test_a_table_in_a_pipe_is_one_line_a_row_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    output.say_table(("A", "B"), [("[red]x", "y" * 500), ("1", "2")])
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["A", "B"]
    assert first.split() == ["[red]x", "y" * 500]
    assert second.split() == ["1", "2"]


def test_progress_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert not sys.stderr.isatty()
    with output.progress("Working", 3) as tell:
        tell(2)
    assert capsys.readouterr() == ("", "")


def test_an_empty_list_is_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    output.say_json_list([])
    assert capsys.readouterr().out == "[]\n"


def test_lists_of_an_object_are_printed_in_turn_as_the_whole_object_would_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found: list[object] = []

    def first() -> Iterator[object]:
        for each in ({"a": 1}, "b"):
            found.append(each)
            yield each

    output.say_json_lists(first=first(), second=(len(found) for _ in range(1)), third=[])
    streamed = capsys.readouterr().out
    output.say_json({"first": [{"a": 1}, "b"], "second": [2], "third": []})
    assert streamed == capsys.readouterr().out
