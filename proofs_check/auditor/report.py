"""An audit on a terminal, and the audits of several members as one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, TypeVar

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from proofs_check.auditor.audit import TOLERANCE, VIEWS, Audit, Met, Row
from proofs_check.auditor.sentences import sentences
from synthetic.base.console import Console

_R = TypeVar("_R", Met, Row)


def merged(audits: Sequence[Audit]) -> Audit:
    """Several SAEs on one world: counts add up, medians of medians, the least slack, the worst status.

    The world's own view is the same for all and taken once. Members of which a part says nothing do not count for it.
    """
    audits = [audits[0], *(_without_world(audit) for audit in audits[1:])]
    met = [
        replace(
            rows[0], samples=_over(rows, "samples", sum), of=_over(rows, "of", sum), worst=_over(rows, "worst", max)
        )
        for rows in _groups((row for audit in audits for row in audit.hypotheses), "view", "hypothesis")
    ]
    rows = [_one(rows) for rows in _groups((row for audit in audits for row in audit.rows), "view", "claim", "part")]
    return Audit(met, rows)


def _without_world(audit: Audit) -> Audit:
    return Audit([met for met in audit.hypotheses if met.view != "world"], [r for r in audit.rows if r.view != "world"])


def _one(rows: list[Row]) -> Row:
    said = [row for row in rows if row.measured is not None] or rows
    return replace(
        said[0],
        status="VIOLATED" if any(row.status == "VIOLATED" for row in said) else said[0].status,
        why=next((row.why for row in said if row.why), ""),
        samples=_over(said, "samples", sum),
        of=_over(rows, "of", sum),
        **{name: _over(said, name, median) for name in ("measured", "bound")},
        slack=_over(said, "slack", min),
        tightest=_over(said, "tightest", max),
    )


def _groups(rows: Iterable[_R], *keys: str) -> list[list[_R]]:
    found: dict[tuple[str, ...], list[_R]] = {}
    for row in rows:
        found.setdefault(tuple(getattr(row, key) for key in keys), []).append(row)
    return list(found.values())


def _over(rows: Sequence[Any], name: str, function: Callable[[list[Any]], Any]) -> Any:
    values = [getattr(row, name) for row in rows if getattr(row, name) is not None]
    return function(values) if values else None


def print_audit(console: Console, audit: Audit) -> None:
    """First a sentence a claim; then view by view which hypotheses hold, what is bounded, what was refused and why."""
    for claim, status, sentence in sentences(audit):
        style = {"holds": "green", "VIOLATED": "bold red"}.get(status, "dim")
        console.print(Text.assemble((f"{claim:>7}", style), f"  {sentence}."), highlight=False)
    for view, about in VIEWS.items():
        rows = [row for row in audit.rows if row.view == view]
        if not rows:
            continue
        console.print(Text.assemble("\n", (view, "bold"), f": {about}"))
        for met in (met for met in audit.hypotheses if met.view == view):
            good = met.samples == met.of
            mark, off = (("✓", "green"), "") if good else (("✗", "red"), f", off by up to {met.worst:.2g}")
            said = f" {met.hypothesis}: {met.samples} of {met.of} samples{off}"
            console.print(Text.assemble("  ", mark, said))
        if any(row.measured is not None for row in rows):
            console.print(_table(rows), highlight=False)
        broken = [f"{row.claim} {row.part}".rstrip() for row in rows if row.status == "VIOLATED"]
        if broken:
            console.print(f"  VIOLATED: {', '.join(broken)}: a proved bound fails, report this", style="bold red")
        for status in ("refused", "void"):
            for why in dict.fromkeys(row.why for row in rows if row.status == status):
                which = [f"{row.claim} {row.part}".rstrip() for row in rows if (row.status, row.why) == (status, why)]
                fails = " fails" if status == "refused" else ""
                console.print(f"  {status}: {', '.join(which)}: {why}{fails}", highlight=False)


def audit_summary(audits: dict[str, list[dict[str, Any]]], whose: str) -> Table:
    """What each claim says of several SAEs: of how many it holds, is refused, or says nothing.

    "holds" with the largest measured / bound of a part in all of them; "refused" where a hypothesis fails on every
    sample, with the hypothesis; "void" where the claim says nothing; "VIOLATED" of a proved bound is to be reported.

    Args:
        audits: SAE -> rows of an `Audit`, as dictionaries.
        whose: which SAEs these are, for the title.
    """
    table = Table(title=f"what the ledger's theorems say of {len(audits)} {whose}", box=SIMPLE, padding=(0, 1, 0, 0))
    table.caption = f"tightest: largest measured / bound. SAEs: {', '.join(audits)}"
    broken = any(row["status"] == "VIOLATED" for rows in audits.values() for row in rows)
    statuses = ("holds", "void", "refused", *(["VIOLATED"] if broken else []))
    for heading in ("claim", "holds", "tightest", *statuses[1:], "why refused"):
        table.add_column(heading, justify="left" if heading in ("claim", "why refused") else "right")
    for view, about in VIEWS.items():
        places = dict.fromkeys(
            (row["claim"], row["title"]) for rows in audits.values() for row in rows if row["view"] == view
        )
        if places:
            table.add_row(Text.assemble((view, "bold"), f": {about}"))
        for claim, title in places:
            own = [[r for r in rows if (r["view"], r["claim"]) == (view, claim)] for rows in audits.values()]
            said = [_status(rows) for rows in own if rows]
            tight = [
                r["tightest"] for rows in own for r in rows if r["status"] == "holds" and r["tightest"] is not None
            ]
            why = next((r["why"] for rows in own for r in rows if r["status"] == "refused"), "")
            counts = [str(said.count(status) or "") for status in statuses]
            style = "bold red" if "VIOLATED" in said else ""
            cells = (counts[0], _number(max(tight)) if tight else "", *counts[1:], why)
            table.add_row(f" {claim} {title}", *cells, style=style)
    return table


def _status(rows: list[dict[str, Any]]) -> str:
    """A claim's own, from those of its parts."""
    return next(s for s in ("VIOLATED", "holds", "void", "refused") if any(row["status"] == s for row in rows))


def _table(rows: list[Row]) -> Table:
    """Bounds stated; those of one bound by another ("order") are in the JSON alone."""
    table = Table(
        box=SIMPLE,
        padding=(0, 1, 0, 0),
        caption="medians over samples; tightest: largest measured / bound; slack: the least",
    )
    table.add_column("claim and part", min_width=27)
    for heading in ("measured", "bound", "tightest", "slack", "samples"):
        table.add_column(heading, justify="right", no_wrap=True)
    last = ""
    for row in rows:
        if row.measured is None or row.part.startswith("order"):
            continue
        if row.claim != last:
            table.add_row(Text(f"{row.claim} {row.title}", style="bold"))
        last = row.claim
        numbers = [_number(v) for v in (row.measured, row.bound, row.tightest, row.slack)]
        style = "bold red" if row.status == "VIOLATED" else ""
        table.add_row(f" {row.part or 'equality'}", *numbers, str(row.samples), style=style)
    return table


def _number(value: float | None) -> str:
    return "" if value is None else "0" if abs(value) < TOLERANCE else f"{value:.3g}"
