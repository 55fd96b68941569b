"""``headwater instance hwdb``: what lets systemd-imdsd find us."""

from __future__ import annotations

from importlib import resources

from headwater.cli import output
from headwater.cli.output import AsJson

FILE = "60-headwater-imds.hwdb"


def hwdb(*, as_json: AsJson = False) -> None:
    """Print the file of systemd's hardware database by which machines with systemd-imdsd find their metadata."""
    text = resources.files("headwater.instances.serving").joinpath(FILE).read_text(encoding="ascii")
    if as_json:
        output.say_json({"name": FILE, "content": text})
    else:
        output.say(text.rstrip())
