"""From the start of the process to its first answer."""

from __future__ import annotations

import subprocess
import sys
import time

from tools.benches.measuring.server import environment, serving
from tools.benches.plan import Plan
from tools.benches.results import Results

BENCH = "start"


def measure(plan: Plan, results: Results) -> None:
    """Fill in how long the first answer takes, on a new catalogue and on one that is there."""
    room = plan.room(BENCH)
    python: list[float] = []
    new: list[float] = []
    again: list[float] = []
    for number in range(plan.starts):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import sqlalchemy"], env=environment(), check=True)
        python.append(time.perf_counter() - started)
        for times in (new, again):
            with serving(room / str(number), plan.workers) as server:
                times.append(server.first_answer_s)
    alone = results.add(BENCH, "Python with sqlalchemy alone", "s", python)
    started_new = results.add(BENCH, "first answer, new catalogue", "s", new, beside=alone)
    started_again = results.add(BENCH, "first answer", "s", again, beside=alone)
    results.aim(BENCH, "first answer after the start", started_again.median, "under", 1, "s")
    results.aim(BENCH, "first answer after the start, new catalogue", started_new.median, "under", 1, "s")
