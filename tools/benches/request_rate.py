"""How many small requests are answered in a second: by ``wrk`` where it is installed, else by our own client."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tools.benches.connection import Address
from tools.benches.failure import BenchFailed
from tools.benches.plan import LoadGenerator

CONNECTIONS = 32
_CHECKOUT = Path(__file__).resolve().parent.parent.parent
# Requests are made before the clock starts, so that the client costs the same for many paths as for one.
_SCRIPT = """
local requests, last = {}, 0
init = function(arguments)
  for path in io.lines(arguments[1]) do requests[#requests + 1] = wrk.format("GET", path) end
end
request = function()
  last = last % #requests + 1
  return requests[last]
end
"""


def chosen(wanted: LoadGenerator) -> LoadGenerator:
    """Return which client it will be.

    Raises:
        BenchFailed: ``wrk`` is wanted and not installed.
    """
    installed = shutil.which("wrk") is not None
    if wanted == "wrk" and not installed:
        raise BenchFailed("wrk is not installed: 'make setup' does it, or give --load-generator own")
    return ("wrk" if installed else "own") if wanted == "auto" else wanted


def requests_per_s(
    address: Address, paths: Sequence[str], seconds: float, generator: LoadGenerator, scratch: Path
) -> float:
    """Ask for ``paths`` in turn, over and over, on ``CONNECTIONS`` connections.

    Raises:
        BenchFailed: Not every answer was a success.
    """
    listed = scratch / "paths"
    listed.write_text("".join(f"{path}\n" for path in paths), encoding="ascii")
    if chosen(generator) == "wrk":
        return _by_wrk(address, listed, seconds, scratch)
    return _by_our_own(address, listed, seconds)


def _by_wrk(address: Address, listed: Path, seconds: float, scratch: Path) -> float:
    script = scratch / "paths.lua"
    script.write_text(_SCRIPT, encoding="ascii")
    options = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{max(1, round(seconds))}s", "-s", str(script)]
    said = _output(["wrk", *options, f"http://{address[0]}:{address[1]}", "--", str(listed)])
    rate = re.search(r"^Requests/sec:\s+([0-9.]+)$", said, re.M)
    if rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise BenchFailed(f"wrk did not get the answers that it asked for:\n{said}")
    return float(rate[1])


def _by_our_own(address: Address, listed: Path, seconds: float) -> float:
    command = [sys.executable, "-m", "tools.benches.keep_alive_client"]
    said = _output([*command, address[0], str(address[1]), str(CONNECTIONS), str(seconds), str(listed)])
    return float(msgspec.json.decode(said)["requests_per_s"])


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, cwd=_CHECKOUT, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise BenchFailed(f"{command[0]} failed: {(done.stderr or done.stdout)[-1000:].strip()}")
    return done.stdout
