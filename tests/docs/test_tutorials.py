"""Every command of the tutorials, in its order."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from docs.pages import DOCS
from docs.walks import require_as_shown, script, steps
from needs import CHECKOUT, program

TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=[page.stem for page in TUTORIALS])
def test_every_command_works_and_shows_what_the_page_says(page: Path) -> None:
    for name in ("gpg", "tar"):
        program(name)
    walk = steps(page.read_text(encoding="utf-8"))
    path = f'export PATH="{CHECKOUT}/.venv/bin:$PATH" COLUMNS=200\n'
    with TemporaryDirectory(prefix="walk-") as name:  # the socket of gpg's agent has a short path
        directory = Path(name)
        try:
            require_as_shown(walk, path + script(walk), directory)
        finally:
            home = next(directory.glob("*/gnupg"), None)
            if home is not None:
                subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=False)
