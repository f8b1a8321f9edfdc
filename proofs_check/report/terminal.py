"""The ledger on a terminal: one row a claim, or one claim at length."""

import math
from collections.abc import Iterable
from typing import Any

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.styled import Styled
from rich.table import Table
from rich.text import Text

from proofs_check.engines.kernel import printed
from proofs_check.ledger import Entry
from synthetic.base.console import Console
from synthetic.base.terminal import visible

COLOURS = {"PROVED": "green", "PROVED in part": "green", "SUPPORTED": "cyan", "VACUOUS": "yellow", "REFUTED": "red"}
COLOURS |= {"A READING FAILS": "red", "UNKNOWN": "magenta"}


def ledger_table(entries: list[Entry]) -> Table:
    """One row a claim."""
    table = Table(
        title="ledger",
        caption=(
            "judged: instances of which it says something, of how many distinct ones; *: cut short by --seconds; "
            "tight: bound over the worst case found, 1 is attained; mutants: caught, and by how many a proof is refuted"
        ),
        box=SIMPLE,
    )
    table.add_column("claim", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for heading in ("judged", "margin", "tight", "controls", "mutants", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in entries:
        table.add_row(
            entry.id,
            Text(entry.said + ("" if entry.ok else " ✗"), style=COLOURS[entry.verdict]),
            f"{entry.judged}/{entry.distinct}{'*' if entry.cut else ''}",
            "" if entry.margin is None else f"{entry.margin:.0e}",
            tightness(entry.tightness.values()),
            f"{_count(entry.controls, 'violation')}/{len(entry.controls)}",
            f"{_count(entry.mutants, 'caught by')}/{len(entry.mutants)}, {_count(entry.mutants, 'proof')}",
            f"{entry.seconds:.1f}",
        )
    return table


def _count(rows: list[dict[str, str]], key: str) -> int:
    return sum(bool(row[key]) for row in rows)


def scope_table(entries: list[Entry]) -> Table:
    """Each claim's name, and what its proofs cover."""
    table = Table(box=SIMPLE)
    for heading in ("claim", "what the proofs cover", "sizes", "trusting", "statement"):
        table.add_column(heading, no_wrap=heading == "claim")
    for entry in entries:
        covered = Text.assemble((visible(entry.title), "bold"), f": {visible(covers(entry))}")
        table.add_row(entry.id, covered, visible(entry.sizes), ", ".join(entry.bases), entry.grade)
    return table


def covers(entry: Entry) -> str:
    """What the proofs cover, and which parts of the conclusion they do not."""
    scope = "; ".join(entry.scope) or "sampled only"
    return scope + (f"; sampled only: {', '.join(entry.sampled)}" if entry.scope and entry.sampled else "")


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


def power_lines(entry: Entry) -> list[str]:
    """What parts that are means would have seen."""
    return [f"{name or 'the mean'}: errors above {v:.2g} of its size would be seen" for name, v in entry.sees.items()]


def trained_lines(entry: Entry) -> list[str]:
    """What was trained for a claim, a line a stack, and in how many members each part holds; then the thresholds."""
    held = [
        f"{name or 'it'} holds in {count:.0f} of {of:.0f} members: a rate of {low:.2g} to {high:.2g} over worlds, "
        "streams and weights, at 95 %"
        for name, (count, of, low, high) in entry.held.items()
    ]
    stacks = stack_lines(entry)
    return [*(f"trained: {line}" for line in stacks), *held, f"thresholds {threshold_line(entry)}"] if stacks else []


def stack_lines(entry: Entry) -> list[str]:
    """What was trained for a claim, a line a stack."""
    return [", ".join(f"{key} {_plain(value)}" for key, value in stack.items()) for stack in _joined(entry)]


def threshold_line(entry: Entry) -> str:
    """What the thresholds of a claim on trained stacks are, and where they come from."""
    levels = ", ".join(f"{value:g} ({name})" for name, value in entry.thresholds.items())
    judged = sorted({seed for training in entry.trainings for seed in training["seeds"]})
    same = ", which are those judged" if judged == sorted(entry.calibrated_on) else ""
    return f"{levels or 'relative'}: set on seeds {_plain(entry.calibrated_on)}{same}"


def _joined(entry: Entry) -> list[dict[str, Any]]:
    """Trainings that differ in seeds alone as one."""
    found: dict[str, dict[str, Any]] = {}
    for training in entry.trainings:
        alike = {key: value for key, value in training.items() if key not in ("seeds", "world seed")}
        one = found.setdefault(str(alike), {**training, "seeds": [], "world seed": []})
        one["world seed"] += [training["world seed"]] * (training["world seed"] not in one["world seed"])
        one["seeds"] += [seed for seed in training["seeds"] if seed not in one["seeds"]]
    return list(found.values())


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def entry_detail(entry: Entry) -> RenderableType:
    """One claim at length: proofs, attack, controls, mutants."""
    margin = "none" if entry.margin is None else f"{entry.margin:.2g}"
    lines: list[RenderableType] = [
        Text.assemble((visible(entry.id), "bold"), "  ", (entry.said, COLOURS[entry.verdict]), f"  {entry.kind}"),
        entry.statement,
        Styled(f"source: {entry.source}", "dim"),
        *([Styled(f"hypotheses: {'; '.join(entry.hypotheses)}", "dim")] if entry.hypotheses else []),
        f"proofs: {covers(entry)}" if entry.checks else "no proof",
        *([f"{entry.sizes}; trusting {', '.join(entry.bases)}; statement: {entry.grade}"] if entry.bases else []),
        f"tried {tried(entry)}{', cut short by --seconds' if entry.cut else ''}, least margin {margin}",
    ]
    lines += power_lines(entry)
    lines += [Styled(entry.fragile, "dim")] if entry.fragile else []
    lines += [Styled(line, "dim") for line in (against(entry), *trained_lines(entry)) if line]
    if entry.witness:
        lines.append(Styled(f"{named(entry).lower()}: {entry.witness}", "bold"))
    lines += [table for table in _tables(entry) if table.row_count]
    lines += [Styled(printed(row), "dim") for row in entry.kernel]
    lines += [Styled(f"note: {entry.note}", "dim")] if entry.note else []
    lines += [Styled(f"problem: {problem}", "red") for problem in entry.problems]
    return Group(*lines, "")


def tried(entry: Entry) -> str:
    """How many instances were drawn, and of which kind."""
    share = "" if entry.nontrivial is None else f" ({entry.nontrivial:.0%} more than trivial)"
    return f"{entry.instances} instances, {entry.distinct} distinct, judged {entry.judged}{share}"


def _tables(entry: Entry) -> list[Table]:
    """Proofs, parts, controls and mutants of a claim."""
    proofs = _rows("proof", "shows", "of", "scope", "status", "s")
    for check in entry.checks:
        status = check["status"] + (f": {check['detail']}" if check["detail"] else "")
        proofs.add_row(
            check["engine"], check["shows"], ", ".join(check["of"]), check["scope"], status, f"{check['seconds']:.2f}"
        )
    parts = _rows("part", "bound / worst found", "bound / extremal")
    for name in dict.fromkeys([*entry.tightness, *entry.attained, *entry.void]):
        ends = (found.get(name) for found in (entry.tightness, entry.attained))
        shown = ["" if v is None else f"{v:.4g}" for v in ends]
        parts.add_row(name or "conclusion", entry.void.get(name, shown[0]), shown[1])
    controls = _rows("control drops", "violation", "note")
    for control in entry.controls:
        controls.add_row(control["drops"], control["violation"] or "none found", control["note"])
    mutants = _rows("mutant", "caught by", "noticed by proof", "witness")
    for mutant in entry.mutants:
        mutants.add_row(
            mutant["name"], mutant["caught by"] or "NOT CAUGHT", mutant["proof"] or "none", mutant["witness"]
        )
    return [proofs, parts, controls, mutants]


def _rows(*headings: str) -> Table:
    table = Table(*headings, box=None, pad_edge=False, header_style="dim")
    table.columns[0].no_wrap = len(headings) == 6
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
