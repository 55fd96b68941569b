"""Pages that somebody walks through: their commands, run in order, and what they say that comes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from docs.pages import Block, blocks, matches
from functional.headwater_process import bare_environment
from needs import program

_END = "--- end of block {number} ---"


def steps(text: str) -> list[tuple[str, str]]:
    """Return each block of commands with what it shows (empty where the page shows nothing).

    ``console`` is what cannot run here.
    """
    found = [block for block in blocks(text) if block.language != "console"]
    assert {block.language for block in found} == {"sh", "text"}
    following = [*found[1:], Block("", "")]
    return [
        (block.text, after.text if after.language == "text" else "")
        for block, after in zip(found, following, strict=True)
        if block.language == "sh"
    ]


def script(walk: Sequence[tuple[str, str]]) -> str:
    """Return the commands as one script, which stops at the first that fails."""
    ended = (f"{commands}echo '{_END.format(number=number)}'\n" for number, (commands, _) in enumerate(walk))
    return "set -eu\n" + "".join(ended)


def require_as_shown(walk: Sequence[tuple[str, str]], commands: str, directory: Path) -> None:
    """Run ``commands``, the script of a walk, and compare what each step says with what the page shows."""
    done = subprocess.run(
        [program("bash"), "-c", commands],
        cwd=directory,
        env=bare_environment(directory),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    rest = done.stdout
    for number, (words, shown) in enumerate(walk):
        output, _, rest = rest.partition(_END.format(number=number) + "\n")
        missing = matches(shown, output)
        assert missing is None, f"after\n{words}\nthe page shows {missing!r}, and there was\n{output}"
