"""The ledger on a terminal: one row a claim, or one claim at length."""

import math
from collections.abc import Iterable
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.styled import Styled
from rich.table import Table
from rich.text import Text

from proofs_check.engines.kernel import covered, printed
from proofs_check.ledger import Entry
from synthetic.base.console import Console
from synthetic.base.terminal import visible

COLOURS = {"PROVED": "green", "SUPPORTED": "cyan", "VACUOUS": "yellow", "REFUTED": "red"}
COLOURS |= {"A READING FAILS": "red", "UNKNOWN": "magenta"}


def ledger_table(entries: list[Entry]) -> Table:
    """One row a claim."""
    table = Table(
        title="ledger",
        caption="tight: bound over the worst case found, 1 is attained; *: cut short by --seconds",
        box=SIMPLE,
    )
    table.add_column("claim", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for heading in ("tried", "margin", "tight", "controls", "mutants", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(
            entry.id,
            Text(entry.verdict + ("" if entry.ok else " ✗"), style=COLOURS[entry.verdict]),
            f"{entry.instances}{'*' if entry.cut else ''}",
            "" if entry.margin is None else f"{entry.margin:.0e}",
            tightness(entry.tightness.values()),
            f"{sum(bool(c['violation']) for c in entry.controls)}/{len(entry.controls)}",
            f"{sum(bool(m['caught by']) for m in entry.mutants)}/{len(entry.mutants)}",
            f"{entry.seconds:.1f}",
        )
    return table


def scope_table(entries: list[Entry]) -> Table:
    """Each claim's name, and what its proofs cover."""
    table = Table(box=SIMPLE)
    table.add_column("claim", no_wrap=True)
    table.add_column("what the proofs cover")
    for entry in entries:
        scope = "; ".join([*(entry.scope or ["sampled only"]), *covered(entry.kernel)])
        table.add_row(entry.id, Text.assemble((visible(entry.title), "bold"), f": {visible(scope)}"))
    return table


def tightness(values: Iterable[float]) -> str:
    """Range of bound over worst case found, of several parts."""
    finite = sorted(v for v in values if math.isfinite(v))
    if not finite:
        return ""
    low, high = f"{finite[0]:.3g}", f"{finite[-1]:.3g}"
    return low if low == high else f"{low}–{high}"


def named(entry: Entry) -> str:
    """What an entry's witness is."""
    return "Left open" if entry.verdict == "UNKNOWN" else "Witness"


def against(entry: Entry) -> str:
    """The sentence that an entry's witness speaks against."""
    told = entry.refutes
    return f"against a {told['against']}: {told['words']} ({told['version']})" if told else ""


def trained_lines(entry: Entry) -> list[str]:
    """What was trained for a claim, a line a stack; then what its thresholds are, and where they come from."""
    if not entry.trainings:
        return []
    lines = ["trained: " + ", ".join(f"{key} {_plain(value)}" for key, value in t.items()) for t in entry.trainings]
    levels = ", ".join(f"{value:g} ({name})" for name, value in entry.thresholds.items())
    judged = sorted({seed for training in entry.trainings for seed in training["seeds"]})
    same = ", which are those judged" if judged == sorted(entry.calibrated_on) else ""
    return [*lines, f"thresholds {levels or 'relative'}: set on seeds {_plain(entry.calibrated_on)}{same}"]


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def entry_detail(entry: Entry) -> RenderableType:
    """One claim at length: proofs, attack, controls, mutants."""
    proofs = _rows("proof", "shows", "scope", "status", "s")
    for check in entry.checks:
        status = check["status"] + (f": {check['detail']}" if check["detail"] else "")
        proofs.add_row(check["engine"], check["shows"], check["scope"], status, f"{check['seconds']:.2f}")
    parts = _rows("part", "bound / worst found", "bound / extremal")
    for name in dict.fromkeys([*entry.tightness, *entry.attained, *entry.void]):
        ends = (found.get(name) for found in (entry.tightness, entry.attained))
        shown = ["" if v is None else f"{v:.4g}" for v in ends]
        parts.add_row(name or "conclusion", entry.void.get(name, shown[0]), shown[1])
    controls = _rows("control drops", "violation", "note")
    for control in entry.controls:
        controls.add_row(control["drops"], control["violation"] or "none found", control["note"])
    mutants = _rows("mutant", "caught by", "witness")
    for mutant in entry.mutants:
        mutants.add_row(mutant["name"], mutant["caught by"] or "NOT CAUGHT", mutant["witness"])
    margin = "none" if entry.margin is None else f"{entry.margin:.2g}"
    lines: list[RenderableType] = [
        Text.assemble((visible(entry.id), "bold"), "  ", (entry.verdict, COLOURS[entry.verdict]), f"  {entry.kind}"),
        entry.statement,
        Styled(f"source: {entry.source}", "dim"),
        *([Styled(f"hypotheses: {'; '.join(entry.hypotheses)}", "dim")] if entry.hypotheses else []),
        f"tried {entry.instances} instances{', cut short by --seconds' if entry.cut else ''}, least margin {margin}",
    ]
    lines += [Styled(line, "dim") for line in (against(entry), *trained_lines(entry)) if line]
    if entry.witness:
        lines.append(Styled(f"{named(entry).lower()}: {entry.witness}", "bold"))
    lines += [table for table in (proofs, parts, controls, mutants) if table.row_count]
    lines += [Styled(printed(row), "dim") for row in entry.kernel]
    lines += [Styled(f"note: {entry.note}", "dim")] if entry.note else []
    lines += [Styled(f"problem: {problem}", "red") for problem in entry.problems]
    return Group(*lines, "")


def _rows(*headings: str) -> Table:
    table = Table(*headings, box=None, pad_edge=False, header_style="dim")
    table.columns[0].no_wrap = len(headings) == 5
    return table


def print_ledger(console: Console, entries: list[Entry], *, at_length: bool) -> None:
    """Detail of few claims or the table of many, then what is wrong with any."""
    if at_length:
        for entry in entries:
            console.print(entry_detail(entry), highlight=False, soft_wrap=False)
        return
    console.print(ledger_table(entries), highlight=False)
    console.print(scope_table(entries), highlight=False)
    for entry in entries:
        if entry.witness:
            console.print(f"{entry.id} {entry.verdict}: {entry.witness}", highlight=False, soft_wrap=True)
        for problem in entry.problems:
            console.print(f"{entry.id} problem: {problem}", style="red", highlight=False, soft_wrap=True)
    good, count = sum(entry.ok for entry in entries), {v: sum(e.verdict == v for e in entries) for v in COLOURS}
    tally = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
    console.print(
        f"{good} of {len(entries)} as promised: {tally}; one at length: --id {entries[-1].id}", highlight=False
    )
