"""An audit on a terminal, and the audits of several members as one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, TypeVar

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from proofs_check.auditor import VIEWS, Audit, Met, Row

_R = TypeVar("_R", Met, Row)
_WORST_FIRST = ("VIOLATED", "holds", "void", "refused")


def merged(audits: Sequence[Audit]) -> Audit:
    """Several SAEs as one: counts add up, medians of medians, the least slack, the worst status."""
    met = [
        replace(
            rows[0], samples=_over(rows, "samples", sum), of=_over(rows, "of", sum), worst=_over(rows, "worst", max)
        )
        for rows in _groups((row for audit in audits for row in audit.hypotheses), "view", "hypothesis")
    ]
    rows = [
        replace(
            rows[0],
            status=min((row.status for row in rows), key=_WORST_FIRST.index),
            why=next((row.why for row in rows if row.why), ""),
            **{name: _over(rows, name, sum) for name in ("samples", "of")},
            **{name: _over(rows, name, median) for name in ("measured", "bound")},
            slack=_over(rows, "slack", min),
            tightest=_over(rows, "tightest", max),
        )
        for rows in _groups((row for audit in audits for row in audit.rows), "view", "claim", "part")
    ]
    return Audit(met, rows)


def _groups(rows: Iterable[_R], *keys: str) -> list[list[_R]]:
    found: dict[tuple[str, ...], list[_R]] = {}
    for row in rows:
        found.setdefault(tuple(getattr(row, key) for key in keys), []).append(row)
    return list(found.values())


def _over(rows: Sequence[Any], name: str, function: Callable[[list[Any]], Any]) -> Any:
    values = [getattr(row, name) for row in rows if getattr(row, name) is not None]
    return function(values) if values else None


def print_audit(console: Console, audit: Audit) -> None:
    """View by view: which hypotheses hold, what is bounded, what was refused or says nothing, and why."""
    for view, about in VIEWS.items():
        rows = [row for row in audit.rows if row.view == view]
        if not rows:
            continue
        console.print(f"\n[bold]{view}[/]: {about}", highlight=False)
        for met in (met for met in audit.hypotheses if met.view == view):
            mark, off = (
                ("[green]✓[/]", "") if met.samples == met.of else ("[red]✗[/]", f", off by up to {met.worst:.2g}")
            )
            console.print(f"  {mark} {met.hypothesis}: {met.samples} of {met.of} samples{off}", highlight=False)
        if any(row.measured is not None for row in rows):
            console.print(_table(rows), highlight=False)
        for status in ("refused", "void"):
            for why in dict.fromkeys(row.why for row in rows if row.status == status):
                which = [f"{row.claim} {row.part}".rstrip() for row in rows if (row.status, row.why) == (status, why)]
                fails = " fails" if status == "refused" else ""
                console.print(f"  {status}: {', '.join(which)}: {why}{fails}", highlight=False, markup=False)


def _table(rows: list[Row]) -> Table:
    """Bounds stated; those of one bound by another ("order") are in the JSON alone."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), caption="medians over samples; tightest: largest measured / bound")
    table.add_column("claim", no_wrap=True)
    table.add_column("part")
    for heading in ("measured", "bound", "tightest", "least slack", "samples"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        if row.measured is None or row.part.startswith("order"):
            continue
        numbers = ["" if v is None else f"{v:.3g}" for v in (row.measured, row.bound, row.tightest)]
        rounding = row.slack is not None and row.status == "holds" and abs(row.slack) < 1e-6
        slack = "" if row.slack is None else "0" if rounding else f"{row.slack:.2g}"
        style = "bold red" if row.status == "VIOLATED" else ""
        table.add_row(row.claim, row.part or "equality", *numbers, slack, str(row.samples), style=style)
    return table
