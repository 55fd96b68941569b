"""What a command costs: the processor time of its process, its start too, and its largest memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.benches.failure import BenchFailed

SSTREAM_QUERY = Path(__file__).resolve().parents[3] / ".venv-simplestreams" / "bin" / "sstream-query"
_PATIENCE_S = 600
# The processor time and the largest memory of a process: a small one starts it, as the memory of who does counts.
_WATCH = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
if str(done.returncode) not in sys.argv[1].split(","): sys.exit(done.stderr[-2000:] or "no reason")
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"s": used.ru_utime + used.ru_stime, "MiB": used.ru_maxrss / 1024}))
"""


def watched(words: Sequence[str | Path], *, good: Sequence[int] = (0,)) -> dict[str, float]:
    """Run a command; return its seconds of the processor as ``s``, and its memory as ``MiB``.

    Args:
        good: Exit codes that count as an answer.

    Raises:
        BenchFailed: It ended otherwise.
    """
    command = [sys.executable, "-c", _WATCH, ",".join(map(str, good)), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    if done.returncode:
        raise BenchFailed(f"{words[0]} did not answer: {done.stderr.strip()}")
    spent: dict[str, Any] = json.loads(done.stdout)
    return spent
