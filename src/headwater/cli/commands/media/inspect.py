"""``headwater config-drive inspect``: what is on a medium, and what those for whom it is would take from it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli import output
from headwater.cli.output import AsJson
from headwater.instances.media.reading.consumers import verdicts
from headwater.instances.media.reading.open import medium_at


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An ISO 9660 or FAT image, also gzip, or base64 of it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what is on a medium, and what cloud-init, cloudbase-init and Ironic would take from it.

    What the files hold is not shown: user data often holds secrets.
    """
    medium = medium_at(file)
    judged = verdicts(medium)
    if as_json:
        output.say_json(
            {
                "kind": medium.kind,
                "label": medium.label,
                "size": medium.size,
                "coding": medium.coding,
                "files": {path: found.size for path, found in medium.files.items()},
                "name_spaces": {name: sorted(files) for name, files in medium.spaces.items()},
                "consumers": [
                    {"consumer": each.consumer, "takes": list(each.takes), "problems": list(each.problems)}
                    for each in judged
                ],
            }
        )
        return
    coded = f", coded as {medium.coding}" if medium.coding else ""
    spaces = ", ".join(f"{name} ({len(files)} files)" for name, files in medium.spaces.items())
    output.say(f"{medium.kind}, label {medium.label!r}, {medium.size} bytes{coded}; names: {spaces}\n")
    output.say_table(("File", "Bytes"), ((_shown(path), str(each.size)) for path, each in medium.files.items()))
    output.say("")
    rows = ((each.consumer, _lines(each.takes) or "nothing", _lines(each.problems)) for each in judged)
    output.say_table(("For", "Takes", "But"), rows)


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(map(_shown, texts))


def _shown(text: str) -> str:
    """Return what somebody wrote on a medium so that a terminal does nothing but show it."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
