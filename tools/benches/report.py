"""A run for people, as tables, and for programs, as JSON."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tools.benches.plan import Plan
from tools.benches.results import Figure, Results

FORMAT = 1  # of the JSON document; grows when a reader of the former one would go wrong


def document(started_at: str, took_s: float, machine: dict[str, Any], plan: Plan, results: Results) -> dict[str, Any]:
    """Return the run as JSON has it."""
    return {
        "format": FORMAT,
        "started_at": started_at,
        "took_s": round(took_s, 1),
        "machine": machine,
        "plan": {name: getattr(plan, name) for name in Plan.__slots__ if name != "rooms"},
        "figures": [figure.to_dict() for figure in results.figures],
        "targets": [target.to_dict() for target in results.targets],
    }


def print_figures(console: Console, figures: list[Figure]) -> None:
    """Print what one bench found."""
    table = _table("", "median", "min – max", "unit", "beside", "ratio")
    for figure in figures:
        table.add_row(
            Text(figure.name),
            _shown(figure.median),
            f"{_shown(min(figure.runs))} – {_shown(max(figure.runs))}" if len(figure.runs) > 1 else "",
            figure.unit,
            Text(figure.beside or ""),
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
        )
    console.print(table)


def print_targets(console: Console, results: Results) -> None:
    """Print what was to be reached, and whether it was."""
    table = _table("to reach", "measured", "wanted", "unit", "margin", "reached")
    for target in results.targets:
        table.add_row(
            Text(target.sentence),
            _shown(target.measured),
            f"{target.bound} {_shown(target.limit)}",
            target.unit,
            f"{target.margin:.2f}",
            Text("yes", style="green") if target.reached else Text("NO", style="bold red"),
        )
    console.print(table)
    reached = sum(target.reached for target in results.targets)
    console.print(f"{reached} of {len(results.targets)} targets reached")


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        numeric = column in ("median", "min – max", "measured", "wanted", "ratio", "margin")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold", ratio=None if number else 1)
    return table


def _shown(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
