"""The ledger as one self-contained page; its frame with style and script is `ledger.html` beside this file."""

import re
from collections import Counter
from collections.abc import Callable
from html import escape
from pathlib import Path
from string import Template

from proofs_check.ledger import Entry
from proofs_check.report.formulas import formula
from proofs_check.report.strips import member_strips, tightness_strips
from proofs_check.report.terminal import (
    COLOURS,
    against,
    covers,
    named,
    power_lines,
    stack_lines,
    threshold_line,
    tightness,
    tried,
)
from synthetic.base.storage import write_text
from workbench.study.explorer.policy import policy

_FRAME = Path(__file__).with_name("ledger.html")
_PROOFS = {"engine": "proof", "shows": "shows", "parts": "of", "scope": "scope", "came to": "came to"}
_CONTROLS = {"drops": "control drops", "violation": "violation", "note": "note"}
_MUTANTS = {"name": "mutant", "caught by": "caught by", "proof": "by proof", "witness": "witness"}
"""keys of a row and the heads of their columns"""


def write_page(entries: list[Entry], path: Path) -> Path:
    """Write the page; an earlier one is replaced whole."""
    frame, links = _FRAME.read_text("utf-8"), _Links(entries)
    areas = {
        area: [entry for entry in entries if entry.area == area] for area in dict.fromkeys(e.area for e in entries)
    }
    tally = Counter(entry.verdict for entry in entries)
    pieces = {
        "policy": policy(frame),
        "promised": f"{sum(entry.ok for entry in entries)} of {len(entries)}",
        "tally": "".join(f"<li>{tally[v]} {_badge(v, v)}</li>" for v in COLOURS if tally[v]),
        "filters": "".join(_filter(name, entries) for name in _FILTERS),
        "contents": "".join(_contents(area, inside) for area, inside in areas.items()),
        "overview": "".join(map(_rows, areas.values())),
        "claims": "".join(
            f'<div data-group><h2 id="area-{escape(area)}">{escape(area)}</h2>'
            f"{''.join(_section(entry, links) for entry in inside)}</div>"
            for area, inside in areas.items()
        ),
    }
    write_text(path, Template(frame).substitute(pieces))
    return path


class _Links:
    """Links to the claims on the page, and which of them name each other."""

    def __init__(self, entries: list[Entry]) -> None:
        ids = sorted({entry.id for entry in entries}, key=len, reverse=True)
        self._ids = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, ids)) or '(?!)'})(?![\w-])")
        self.naming: dict[str, list[str]] = {id: [] for id in ids}
        for entry in entries:
            words = [entry.statement, entry.source, entry.note, entry.witness, against(entry)]
            words += [control["note"] for control in entry.controls]
            for id in set(self._ids.findall(" ".join(words))).difference([entry.id]):
                self.naming[id].append(entry.id)

    def text(self, words: str) -> str:
        """Words, escaped, with ids as links."""
        pieces = self._ids.split(words)
        return "".join(_link(piece) if i % 2 else escape(piece) for i, piece in enumerate(pieces))


def _link(id: str, more: str = "") -> str:
    return f'<a href="#{escape(id)}"{more}>{escape(id)}</a>'


def _kind(verdict: str) -> str:
    return f"v-{verdict.lower().replace(' ', '-')}"


def _badge(verdict: str, said: str) -> str:
    return f'<span class="verdict {_kind(verdict)}">{escape(said)}</span>'


def _reach(entry: Entry) -> str:
    """In a few words, the sizes that its proofs cover."""
    if entry.sizes.startswith("sizes up to"):
        return "up to sizes named"
    return re.sub(r" \d.*", " in part", entry.sizes.partition(";")[0]) or "sampled or measured"


_FILTERS: dict[str, tuple[str, Callable[[Entry], list[str]]]] = {
    "area": ("Area", lambda entry: [entry.area]),
    "verdict": ("Verdict", lambda entry: [entry.verdict]),
    "base": ("Trusting", lambda entry: entry.bases or ["no proof"]),
    "sizes": ("Sizes", lambda entry: [_reach(entry)]),
    "grade": ("Statement", lambda entry: [entry.grade]),
}
"""name -> label, and what it has of an entry"""


def _filter(name: str, entries: list[Entry]) -> str:
    label, of = _FILTERS[name]
    counts = Counter(value for entry in entries for value in of(entry))
    options = "".join(f'<option value="{escape(v)}">{escape(v)} ({count})</option>' for v, count in counts.items())
    return f'<label>{label} <select name="{name}"><option value="">all</option>{options}</select></label>'


def _contents(area: str, entries: list[Entry]) -> str:
    """An area and its claims, each a link."""
    links = (
        _link(e.id, f' class="{_kind(e.verdict)}" {_of(e)} title="{escape(e.title)}: {escape(e.said)}"')
        for e in entries
    )
    return f'<div data-group><a href="#area-{escape(area)}">{escape(area)}</a><span>{"".join(links)}</span></div>'


def _of(entry: Entry) -> str:
    """Marks what is shown and hidden with a claim."""
    return f'data-of="{escape(entry.id)}"'


def _rows(entries: list[Entry]) -> str:
    """An area's claims in the overview; a narrow screen leaves some columns to the claims themselves."""
    rows = "".join(
        f"<tr {_of(entry)}><td>{_link(entry.id)}</td><td>{escape(entry.title)}</td><td>{_verdict(entry)}</td>"
        f'<td>{escape(_reach(entry))}</td><td class="extra">{escape(", ".join(entry.bases))}</td>'
        f'<td class="extra">{escape(entry.grade)}</td><td class="extra">{tightness(entry.tightness.values())}</td>'
        f'<td class="extra">{entry.judged} of {entry.distinct}</td></tr>'
        for entry in entries
    )
    return f"<tbody data-group>{rows}</tbody>"


def _verdict(entry: Entry) -> str:
    return _badge(entry.verdict, entry.said) + ("" if entry.ok else ' <b class="bad">not as promised</b>')


def _section(entry: Entry, links: _Links) -> str:
    data = "".join(f' data-{name}="{escape("|".join(of(entry)))}"' for name, (_, of) in _FILTERS.items())
    sizes = [entry.sizes, f"trusting {', '.join(entry.bases)}"] if entry.bases else []
    facts = escape(" · ".join([*sizes, f"statement: {entry.grade}", f"kind: {entry.kind}"]))
    pieces = [
        f'<section id="{escape(entry.id)}" class="{_kind(entry.verdict)}"{data}>',
        f"<h3>{_link(entry.id)} {escape(entry.title)} {_verdict(entry)}</h3>",
        f"<p>{links.text(entry.statement)}</p>",
        formula(entry.tex) if entry.tex else "",
        f'<p class="facts">{facts}</p>',
        f"<p>It speaks {links.text(against(entry))}</p>" if entry.refutes else "",
        f"<p><b>{named(entry)}:</b> <code>{links.text(entry.witness)}</code></p>" if entry.witness else "",
        *(f'<p class="bad">{escape(problem)}</p>' for problem in entry.problems),
        member_strips(entry),
        _formal(entry),
        _evidence(entry, links),
        _about(entry, links),
    ]
    return "".join(pieces) + "</section>"


def _formal(entry: Entry) -> str:
    """The theorems behind a claim as a human and as the kernel reads them, in a fold."""
    found = {
        row["theorem"]: [other for other in entry.kernel if other["theorem"] == row["theorem"]] for row in entry.kernel
    }
    body = "".join(
        f'<div class="theorem"><div><p>{escape(rows[0]["words"])}</p><p class="dim">'
        f"shows {escape(', '.join(row['part'] or 'the conclusion' for row in rows))}; {escape(rows[0]['base'])}<br>"
        f"{escape(rows[0]['tie'])}</p></div><pre>{escape(name)} :=\n{escape(rows[0]['formal'])}</pre></div>"
        for name, rows in found.items()
    )
    return _fold(f"Formal statement: {len(found)} of Coq's kernel", body)


def _evidence(entry: Entry, links: _Links) -> str:
    """Proofs, what was drawn or trained, controls and mutants, in a fold."""
    checks = [
        check
        | {"parts": ", ".join(check["of"]), "came to": ": ".join(filter(None, (check["status"], check["detail"])))}
        for check in entry.checks
    ]
    tables = {"proof": (checks, _PROOFS), "control": (entry.controls, _CONTROLS), "mutant": (entry.mutants, _MUTANTS)}
    stacks = stack_lines(entry)
    counts = {"stack": len(stacks)} | {name: len(rows) for name, (rows, _) in tables.items()}
    said = ", ".join(f"{count} {name}{'s' * (count > 1)}" for name, count in counts.items() if count)
    body = "".join(_table(rows, heads, links) for rows, heads in tables.values())
    trained = "".join(f'<p class="dim">Trained: {escape(line)}</p>' for line in stacks)
    return _fold(f"Evidence: {said or 'drawn instances'}", (trained or tightness_strips(entry)) + body)


def _fold(summary: str, body: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{body}</details>" if body else ""


def _about(entry: Entry, links: _Links) -> str:
    """What else there is to say of a claim, as terms and what they are."""
    margin = "none" if entry.margin is None else f"{entry.margin:.2g}"
    silent = [f"{name or 'the conclusion'} says nothing of any instance: {why}" for name, why in entry.void.items()]
    lines = {
        "Source": [entry.source],
        "Hypotheses": ["; ".join(entry.hypotheses)],
        "Proofs cover": [covers(entry)],
        "Tried": [
            f"{tried(entry)}; least margin {margin}",
            *power_lines(entry),
            *silent,
            entry.fragile,
        ],
        "Thresholds": [threshold_line(entry)] if entry.trainings else [],
        "Note": [entry.note],
        "Shown by": [entry.shown_by],
        "Named by": [", ".join(links.naming[entry.id])],
    }
    said = {term: "<br>".join(map(links.text, filter(None, words))) for term, words in lines.items()}
    return f"<dl>{''.join(f'<dt>{term}</dt><dd>{words}</dd>' for term, words in said.items() if words)}</dl>"


def _table(rows: list[dict[str, str]], heads: dict[str, str], links: _Links) -> str:
    """Rows under heads; on a narrow screen each cell stands beside its head."""
    if not rows:
        return ""
    cells = (
        (f'<td data-head="{head}">{links.text(str(row[key]))}</td>' for key, head in heads.items()) for row in rows
    )
    titles = "".join(f"<th>{head}</th>" for head in heads.values())
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    return f'<div class="wide"><table class="rows"><thead><tr>{titles}</tr></thead>{body}</table></div>'
