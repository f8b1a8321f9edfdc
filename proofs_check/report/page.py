"""The ledger as one self-contained page: formulas are MathML, plots are drawn into it, nothing is fetched."""

import io
import math
import re
from html import escape
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
from latex2mathml.converter import convert
from matplotlib.figure import Figure

from proofs_check.ledger import Entry
from proofs_check.report.terminal import against, covers, named, power_lines, tightness, trained_lines
from synthetic.base.storage import write_text

_COLOURS = {
    "PROVED": "#1a7f37",
    "PROVED in part": "#4c7a2f",
    "SUPPORTED": "#0969da",
    "VACUOUS": "#9a6700",
    "REFUTED": "#cf222e",
    "A READING FAILS": "#bc4c00",
    "UNKNOWN": "#8250df",
}
_MATHML = {"math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mstyle", "mpadded", "mphantom", "menclose"}
_MATHML |= {"mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder", "mover", "munderover"}
_MATHML |= {"mtable", "mtr", "mtd"}
"""elements a formula may have"""
_LOOKS = {"display", "displaystyle", "scriptlevel", "mathvariant", "mathcolor", "mathsize", "notation", "linethickness"}
_LOOKS |= {"stretchy", "symmetric", "fence", "separator", "form", "accent", "accentunder", "movablelimits", "largeop"}
_LOOKS |= {"minsize", "maxsize", "width", "height", "depth", "lspace", "rspace", "columnalign", "columnspacing"}
_LOOKS |= {"columnlines", "rowlines", "rowspacing"}
"""attributes they may have: no link, no script"""
_CSS = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1f2328 }
table { border-collapse: collapse; margin: .6rem 0; font-size: 13px; width: 100% }
td:first-child, th { white-space: nowrap }
td, th { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0; border-bottom: 1px solid #e5e7eb }
section { border-top: 2px solid #d0d7de; margin-top: 2rem }
.wide { overflow-x: auto }
.verdict { color: white; border-radius: .3rem; padding: .1rem .5rem; font-size: 13px; font-weight: 600 }
.dim { color: #59636e; font-size: 13px }
.bad { color: #cf222e }
svg { max-width: 100%; height: auto }
code { font-size: 12px; overflow-wrap: anywhere }
"""


def write_page(entries: list[Entry], path: Path) -> Path:
    """Write the page; an earlier one is replaced whole."""
    rows = "".join(
        f'<tr><td><a href="#{escape(entry.id)}">{escape(entry.id)}</a></td><td>{escape(entry.title)}</td>'
        f"<td>{_badge(entry)}</td>"
        f"<td>{entry.judged}, {entry.distinct} distinct</td><td>{escape(tightness(entry.tightness.values()))}</td>"
        f"<td>{escape(covers(entry))}</td><td>{escape(entry.sizes)}</td><td>{escape(', '.join(entry.bases))}</td>"
        f"<td>{escape(entry.grade)}</td></tr>"
        for entry in entries
    )
    names = ("claim", "theorem", "verdict", "judged", "tightness", "proofs cover", "sizes", "trusting", "statement")
    heads = "".join(f"<th>{head}</th>" for head in names)
    good = sum(entry.ok for entry in entries)
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>Ledger of claims</title>'
        f"<style>{_CSS}</style></head><body><h1>Ledger of claims</h1>"
        f"<p>{good} of {len(entries)} verdicts as promised. Tightness is the bound over the worst case found; "
        f"1 is attained. PROVED says in which scope; sampling tries every claim as well.</p>"
        f'<div class="wide"><table><tr>{heads}</tr>{rows}</table></div>'
        f"{''.join(map(_section, entries))}</body></html>\n"
    )
    write_text(path, text)
    return path


def _asides(entry: Entry) -> list[str]:
    """What means would have seen, what is fragile, and which parts said nothing."""
    silent = [f"{name or 'the conclusion'} says nothing of any instance: {why}" for name, why in entry.void.items()]
    return [
        *([f"{entry.sizes}; trusting {', '.join(entry.bases)}"] if entry.bases else []),
        *power_lines(entry),
        *silent,
        *([entry.fragile] if entry.fragile else []),
    ]


def _badge(entry: Entry) -> str:
    mark = "" if entry.ok else ' <b class="bad">not as promised</b>'
    return f'<span class="verdict" style="background:{_COLOURS[entry.verdict]}">{escape(entry.said)}</span>{mark}'


_PROOFS = {"engine": "proof", "shows": "shows", "parts": "of", "scope": "scope", "status": "status", "detail": "detail"}
_THEOREMS = {"theorem": "Coq kernel", "part": "of", "words": "in words", "formal": "formal", "base": "base"}
_THEOREMS |= {"tie": "tied by"}
"""keys of a row and the heads of their columns"""


def _section(entry: Entry) -> str:
    margin = "none" if entry.margin is None else f"{entry.margin:.2g}"
    pieces = [
        f'<section id="{escape(entry.id)}"><h2>{escape(entry.id)} {escape(entry.title)} {_badge(entry)}</h2>',
        f"<p>{escape(entry.statement)}</p>",
        _formula(entry.tex) if entry.tex else "",
        f'<p class="dim">Source: {escape(entry.source)}<br>Hypotheses: {escape("; ".join(entry.hypotheses) or "none")}'
        f"<br>Scope: {escape(covers(entry))}<br>Tried {entry.instances} instances, {entry.distinct} distinct, judged "
        f"{entry.judged}; least margin {margin}{''.join(f'<br>{escape(line)}' for line in _asides(entry))}"
        f"{f'<br>Shown by {escape(entry.shown_by)}' if entry.shown_by else ''}</p>",
        "".join(f'<p class="dim">{escape(line)}</p>' for line in (against(entry), *trained_lines(entry)) if line),
        f"<p><b>{named(entry)}:</b> <code>{escape(entry.witness)}</code></p>" if entry.witness else "",
        f'<p class="dim">{escape(entry.note)}</p>' if entry.note else "",
        *(f'<p class="bad">{escape(problem)}</p>' for problem in entry.problems),
        _tightness_plot(entry),
        _table([check | {"parts": ", ".join(check["of"])} for check in entry.checks], _PROOFS),
        _table(entry.kernel, _THEOREMS),
        _table(entry.controls, {"drops": "control drops", "violation": "violation", "note": ""}),
        _table(entry.mutants, {"name": "mutant", "caught by": "caught by", "proof": "by proof", "witness": "witness"}),
    ]
    return "".join(pieces) + "</section>"


def _table(rows: list[dict[str, str]], heads: dict[str, str]) -> str:
    if not rows:
        return ""
    body = "".join("<tr>" + "".join(f"<td>{escape(str(row[key]))}</td>" for key in heads) + "</tr>" for row in rows)
    titles = "".join(f"<th>{head}</th>" for head in heads.values())
    return f'<div class="wide"><table><tr>{titles}</tr>{body}</table></div>'


def _formula(tex: str) -> str:
    """A formula as MathML, or its source where it is none."""
    try:
        return f"<p>{_mathml(tex)}</p>"
    except Exception:  # whatever the converter raises of a text that is no formula
        return f"<p><code>{escape(tex)}</code></p>"


def _mathml(tex: str) -> str:
    """A formula as MathML of known elements and attributes alone.

    Raises:
        ValueError: something else would come of it, or some of its commands are not known.
        Exception: what the converter raises.
    """
    formula = ElementTree.fromstring(convert(tex, display="block"))
    for element in formula.iter():
        element.tag = element.tag.rpartition("}")[2]
        if element.tag not in _MATHML or not _LOOKS.issuperset(element.attrib):
            raise ValueError(f"{element.tag} with {list(element.attrib)} is no part of a formula")
    if "\\" in "".join(formula.itertext()):
        raise ValueError("a command of the formula is not known")
    return ElementTree.tostring(formula, encoding="unicode", short_empty_elements=False)


def _tightness_plot(entry: Entry) -> str:
    """Measured over bound of every drawn instance, one row a part, with what the extremal instances reach."""
    names = [name for name, ratios in entry.ratios.items() if ratios]
    if not names:
        return ""
    figure = Figure(figsize=(7.5, 0.75 + 0.27 * len(names)), layout="constrained")
    axes = figure.subplots()
    for row, name in enumerate(reversed(names)):
        axes.plot(entry.ratios[name], [row] * len(entry.ratios[name]), "|", color="#0072B2", alpha=0.35, markersize=9)
        if 0 < entry.attained.get(name, math.nan) < math.inf:
            axes.plot(1 / entry.attained[name], row, "D", color="#D55E00", markersize=5)
    axes.axvline(1, color="0.3", linewidth=1)
    least = min(ratio for name in names for ratio in entry.ratios[name])
    most = max(ratio for name in names for ratio in entry.ratios[name])
    axes.set_xlim(max(min(least, 0.0), -1.0) - 0.03, max(min(most, 2.0), 1.0) + 0.05)
    axes.set_ylim(-0.6, len(names) - 0.4)
    labels = [name or "conclusion" for name in reversed(names)]
    axes.set_yticks(range(len(names)), labels, fontsize=9, parse_math=False)  # a "$" is no formula
    axes.set_xlabel("measured / bound: bars drawn instances, diamond extremal ones", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return f"<p>{_svg(figure)}</p>"


def _svg(figure: Figure) -> str:
    with mpl.rc_context({"svg.hashsalt": "sae-workbench", "svg.fonttype": "none"}):
        out = io.StringIO()
        figure.savefig(out, format="svg", bbox_inches="tight", pad_inches=0.05, metadata={"Date": None})
    text = out.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
