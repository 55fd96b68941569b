"""How many small requests are answered in a second: by ``wrk`` where it is installed, else by our own client."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from tools.benches.failure import BenchFailed
from tools.benches.measuring.connection import Address
from tools.benches.plan import LoadGenerator

CONNECTIONS = 32
_CHECKOUT = Path(__file__).resolve().parents[3]
# Requests without a number in them are made before the clock starts, so that the client costs the same for many
# as for one.
_SCRIPT = """
local requests, last, number = {}, 0, 0
init = function(arguments)
  for line in io.lines(arguments[1]) do
    local method, path, kind, body = line:match("^(.-)\\t(.-)\\t(.-)\\t(.*)$")
    local headers = {}
    if kind ~= "" then headers["Content-Type"] = kind end
    for name, value in pairs(wrk.headers) do headers[name] = value end
    if body:find("@", 1, true) then
      requests[#requests + 1] = function()
        number = number + 1
        return wrk.format(method, path, headers, (body:gsub("@", number)))
      end
    else
      requests[#requests + 1] = wrk.format(method, path, headers, body ~= "" and body or nil)
    end
  end
end
request = function()
  last = last % #requests + 1
  local this = requests[last]
  return type(this) == "function" and this() or this
end
"""


@dataclass(frozen=True, slots=True)
class Requests:
    """What is asked for in turn."""

    paths: Sequence[str]
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = ""
    body: str = ""  # one line; each "@" in it becomes another number in each request

    def lines(self) -> str:
        """Return a line for each, as the clients read them."""
        return "".join(f"{self.method}\t{path}\t{self.media_type}\t{self.body}\n" for path in self.paths)


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
    address: Address, requests: Requests, seconds: float, generator: LoadGenerator, scratch: Path
) -> float:
    """Send ``requests`` over and over, on ``CONNECTIONS`` connections.

    Raises:
        BenchFailed: Not every answer was a success.
    """
    listed = scratch / "requests"
    listed.write_text(requests.lines(), encoding="ascii")
    headers = [word for name, value in requests.headers.items() for word in ("-H", f"{name}: {value}")]
    if chosen(generator) == "wrk":
        return _by_wrk(address, listed, headers, seconds, scratch)
    return _by_our_own(address, listed, headers, seconds)


def _by_wrk(address: Address, listed: Path, headers: Sequence[str], seconds: float, scratch: Path) -> float:
    script = scratch / "requests.lua"
    script.write_text(_SCRIPT, encoding="ascii")
    options = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{max(1, round(seconds))}s", "-s", str(script), *headers]
    said = _output(["wrk", *options, f"http://{address[0]}:{address[1]}", "--", str(listed)])
    rate = re.search(r"^Requests/sec:\s+([0-9.]+)$", said, re.M)
    if rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise BenchFailed(f"wrk did not get the answers that it asked for:\n{said}")
    return float(rate[1])


def _by_our_own(address: Address, listed: Path, headers: Sequence[str], seconds: float) -> float:
    command = [sys.executable, "-m", "tools.benches.measuring.keep_alive_client"]
    where = [address[0], str(address[1]), str(CONNECTIONS), str(seconds), str(listed)]
    said = _output([*command, *where, *headers[1::2]])
    return float(msgspec.json.decode(said)["requests_per_s"])


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, cwd=_CHECKOUT, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise BenchFailed(f"{command[0]} failed: {(done.stderr or done.stdout)[-1000:].strip()}")
    return done.stdout
