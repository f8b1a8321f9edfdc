"""Strips of figures as SVG. Places are shares of the width, so that a strip is as wide as the page lets it be."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from proofs_check.engines.sampling import ENOUGH
from proofs_check.ledger import Entry
from proofs_check.trainings import Member


@dataclass(frozen=True)
class _Axis:
    """From the least to the largest of some values; what lies beyond is drawn at the border."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """A place, in percent of the width."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(2 + 96 * min(max(share, 0.0), 1.0), 2)

    def line(self, value: float, kind: str, height: int) -> str:
        """A vertical line."""
        return f'<line class="{kind}" x1="{self.at(value)}%" x2="{self.at(value)}%" y1="0" y2="{height}"/>'

    def words(self, values: Iterable[float]) -> str:
        """Values below the strip, each but those that would stand on an earlier one."""
        drawn: list[float] = []
        for value in values:
            if all(abs(self.at(value) - self.at(other)) > 16 for other in drawn):
                drawn.append(value)
        return "".join(
            f'<text x="{at}%" y="41" text-anchor="{"start" if at < 12 else "end" if at > 88 else "middle"}">'
            f"{value:.3g}</text>"
            for value, at in ((value, self.at(value)) for value in drawn)
        )


def tightness_strips(entry: Entry) -> str:
    """Measured over bound of every drawn instance, one row a part, with what the extremal instances reach."""
    found = {name: ratios for name, ratios in entry.ratios.items() if ratios}
    if not found:
        return ""
    least, most = min(map(min, found.values())), max(map(max, found.values()))
    axis = _Axis(max(min(least, 0.0), -1.0), max(min(most, 2.0), 1.0))
    rows = "".join(_ticks(axis, name, ratios, entry.attained.get(name, math.nan)) for name, ratios in found.items())
    said = "measured / bound: lines are drawn instances, thick ones the extremal; 1 is attained"
    return f'<div class="strips"><p class="dim">{said}</p>{rows}</div>'


def _ticks(axis: _Axis, name: str, ratios: Sequence[float], attained: float) -> str:
    places = sorted({round(10 * axis.at(ratio)) for ratio in ratios if math.isfinite(ratio)})
    ticks = f'<path class="ticks" d="{"".join(f"M{place} 4v16" for place in places)}"/>'
    if 0 < attained < math.inf:
        ticks += f'<path class="extremal" d="M{round(10 * axis.at(1 / attained))} 2v20"/>'
    return (
        f"<div><span>{escape(name or 'conclusion')}</span>"
        f'<svg height="44" role="img" aria-label="{len(ratios)} ratios up to {max(ratios):.3g}">'
        f"{axis.line(1.0, 'edge', 28)}{axis.words((1.0, axis.low, axis.high))}"
        f'<svg viewBox="0 0 1000 24" width="100%" height="24" preserveAspectRatio="none">{ticks}</svg></svg></div>'
    )


def member_strips(entry: Entry) -> str:
    """Of a claim on trained stacks: each member's value against the bound, and the interval of the rate, row by row."""
    rows = "".join(_members(entry, name) for name in entry.held if entry.members.get(name))
    said = (
        "each dot a fresh member, a ring where the part does not hold; right: the share of members in which it holds, "
        f"its interval at 95 %, and the share of {ENOUGH:g} that is asked for"
    )
    return f'<div class="strips members"><p class="dim">{said}</p>{rows}</div>' if rows else ""


def _members(entry: Entry, name: str) -> str:
    """A row: what is drawn in words, the members, the rate."""
    (count, of, low, high), fixed = entry.held[name], entry.thresholds.get(name)
    words = f"holds in {count:.0f} of {of:.0f}: a rate of {low:.2g} to {high:.2g}"
    return (
        f"<div><span><b>{escape(name or 'conclusion')}</b>: {_rule(entry.members[name], fixed)}<br>{words}</span>"
        f"{_dots(entry.members[name], fixed)}{_rate(count / of, low, high)}</div>"
    )


def _rule(members: Sequence[Member], fixed: float | None) -> str:
    """What is drawn of a part: a side against a threshold, or one side less the other."""
    if fixed is None:
        return "bound less measured, " + ("0" if members[0].equality else "at least 0")
    way = "equal to" if members[0].equality else "at most" if members[0].bound == fixed else "at least"
    return f"{way} {fixed:.3g}"


def _dots(members: Sequence[Member], fixed: float | None) -> str:
    if fixed is None:
        values, edge, upwards = [member.bound - member.measured for member in members], 0.0, True
    else:
        upwards = any(member.bound != fixed for member in members)
        values, edge = [member.bound if upwards else member.measured for member in members], fixed
    axis = _Axis(min(*values, edge), max(*values, edge))
    start, end = (axis.at(edge), 100.0) if upwards else (0.0, axis.at(edge))
    good = f'<rect class="good" x="{start}%" width="{round(end - start, 2)}%" height="28"/>'
    places = ((f"{axis.at(value)}%", round(5 + 18 * i / len(values), 1)) for i, value in enumerate(values))
    dots = "".join(
        f'<circle class="{"holds" if member.holds else "fails"}" cx="{x}" cy="{y}" r="3.5">'
        f"<title>{escape(member.name)}: {value:.3g}</title></circle>"
        for member, value, (x, y) in zip(members, values, places, strict=True)
    )
    return (
        f'<svg height="44" role="img" aria-label="{len(members)} members from {min(values):.3g} to {max(values):.3g}">'
        f"{'' if members[0].equality else good}{axis.line(edge, 'edge', 28)}{dots}"
        f"{axis.words((edge, axis.low, axis.high))}</svg>"
    )


def _rate(share: float, low: float, high: float) -> str:
    axis = _Axis(0.0, 1.0)
    spans = "".join(
        f'<line class="{kind}" x1="{axis.at(start)}%" x2="{axis.at(end)}%" y1="14" y2="14"/>'
        for kind, start, end in (("base", 0.0, 1.0), ("interval", low, high))
    )
    return (
        f'<svg height="44" role="img" aria-label="rate {share:.2g}, between {low:.2g} and {high:.2g} at 95 %">{spans}'
        f'{axis.line(ENOUGH, "asked", 28)}<circle class="holds" cx="{axis.at(share)}%" cy="14" r="4.5"/>'
        f"{axis.words((low, high))}</svg>"
    )
