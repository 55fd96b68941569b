"""One document of instance metadata, asked for by the instance that it is about."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tools.benches.failure import BenchFailed
from tools.benches.measuring.request_rate import Requests, requests_per_s
from tools.benches.measuring.server import Server, environment, headwater, serving
from tools.benches.plan import Plan
from tools.benches.results import Results

BENCH = "metadata"
UNLIMITED = {"HEADWATER_METADATA__RATE": "0"}  # one guest asks as much as a thousand
_LEAVES = ("/latest/meta-data/instance-id", "/openstack/latest/meta_data.json")


def measure(plan: Plan, results: Results) -> None:
    """Fill in the figures of the metadata port.

    Raises:
        BenchFailed: The instance was not registered.
    """
    room = plan.room(BENCH)
    with serving(room / "data", plan.workers, settings=UNLIMITED) as server:
        registered(server, room)
        runs: dict[str, list[float]] = {leaf: [] for leaf in _LEAVES}
        for _ in range(plan.rounds):
            for leaf, rates in runs.items():
                rates.append(requests_per_s(server.metadata, Requests([leaf]), plan.seconds, plan.load_generator, room))
        for leaf, rates in runs.items():
            results.add(BENCH, leaf, "requests/s", rates)


def registered(server: Server, room: Path) -> None:
    """Register the instance that asks, this machine; ``room`` is a directory without settings.

    Raises:
        BenchFailed: It was refused.
    """
    command = headwater(
        *("--data-dir", server.data_dir), *("instance", "add", "--name", "bench", "--address", "127.0.0.1")
    )
    done = subprocess.run(command, cwd=room, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailed(f"headwater instance add failed: {done.stderr.strip()}")
