"""What was measured, beside what, and what was to be reached."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Bound = Literal["at least", "under"]


def p99(times: Sequence[float]) -> float:
    """Return what 99 of 100 are below."""
    return sorted(times)[int(len(times) * 0.99)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing measured in several runs."""

    bench: str
    name: str
    unit: str
    runs: tuple[float, ...]
    beside: str | None = None  # the name of the limit or peer that was measured in turn with it
    ratios: tuple[float, ...] = ()  # to that, run by run

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def ratio(self) -> float | None:
        """The middle one of the ratios: a disturbance that lasts for a pair of runs hits both of it."""
        return statistics.median(self.ratios) if self.ratios else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "bench": self.bench,
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.runs),
            "max": max(self.runs),
            "runs": list(self.runs),
            "beside": self.beside,
            "ratio": self.ratio,
            "ratios": list(self.ratios),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something to be reached."""

    bench: str
    sentence: str
    measured: float
    bound: Bound
    limit: float
    unit: str

    @property
    def reached(self) -> bool:
        return self.measured >= self.limit if self.bound == "at least" else self.measured < self.limit

    @property
    def margin(self) -> float:
        """How much better than the limit it is: 2 is twice as good, 0.5 half."""
        better, worse = (self.measured, self.limit) if self.bound == "at least" else (self.limit, self.measured)
        return better / max(worse, 1e-9)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "bench": self.bench,
            "target": self.sentence,
            "measured": self.measured,
            "bound": self.bound,
            "limit": self.limit,
            "unit": self.unit,
            "margin": self.margin,
            "reached": self.reached,
        }


@dataclass(slots=True)
class Results:
    """All figures and targets of one run, in the order in which they came."""

    figures: list[Figure] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def add(
        self,
        bench: str,
        name: str,
        unit: str,
        runs: Sequence[float],
        *,
        beside: Figure | None = None,
    ) -> Figure:
        """Keep a figure; ``beside`` has a run for each of its runs."""
        ratios: tuple[float, ...] = ()
        if beside is not None:
            ratios = tuple(run / other for run, other in zip(runs, beside.runs, strict=True))
        figure = Figure(
            bench=bench,
            name=name,
            unit=unit,
            runs=tuple(runs),
            beside=beside.name if beside else None,
            ratios=ratios,
        )
        self.figures.append(figure)
        return figure

    def aim(self, bench: str, sentence: str, measured: float | None, bound: Bound, limit: float, unit: str) -> None:
        """Keep a target."""
        if measured is None:
            raise ValueError(f"nothing was measured for the target {sentence!r}")
        self.targets.append(
            Target(bench=bench, sentence=sentence, measured=measured, bound=bound, limit=limit, unit=unit)
        )
