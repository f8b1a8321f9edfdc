"""An audit in plain sentences: of each claim, what holds of this SAE and what that is worth."""

from dataclasses import dataclass

from proofs_check.auditor.audit import VIEWS, Audit, Row


@dataclass(frozen=True)
class Meaning:
    """What a claim says of an SAE."""

    part: str
    """of its conclusion, whose figures stand in the sentence"""
    says: str
    """the sentence, with {measured} and {bound}: medians over samples, in the claim's unit"""
    useful: float = 1.0
    """bounds above say nothing that was not known"""
    identity: bool = False


MEANINGS = {
    "AFA-1": Meaning("", "interference explains all of |x|² − |f|², which comes to {measured} of |f|²", identity=True),
    "AFA-2": Meaning("gap", "the published bound puts ||x|² − |f|²| within {bound} of |f|²; it is {measured}"),
    "AFA-3": Meaning("best of L and λ", "the support puts ||x|² − |f|²| within {bound} of |f|²; it is {measured}"),
    "AFA-4": Meaning("above", "signs of cosines put |x|² − |f|² within {bound} of |f|²; it is {measured}"),
    "AFA-5": Meaning("c ≥ 1", "the published upper bound needs c = ε(m − 1) < 1; c is {bound}", identity=True),
    "AFA-6": Meaning("supremum", "|x|²/|f|² is at most {bound}; it is {measured}", useful=2.0),
    "AFA-10": Meaning("1 ≤ μ", "norms alone show a coherence of {measured} on the support; it is {bound}"),
    "AFA-11": Meaning(
        "corrected bound", "with the residual, ||x|² − |f|²| is at most {bound} of |f|² + |x|²; it is {measured}"
    ),
    "AFA-14": Meaning(
        "above", "a tied encoder's energy on the support is at most {bound} of |f|; it is {measured}", useful=2.0
    ),
    "AFA-17": Meaning("||f| − |x||", "after selection ||f| − |x|| is at most {bound} of τ + |x|; it is {measured}"),
    "MP-5": Meaning("share ≤ kμ/(1 − (k − 1)μ)", "pursuit finds the codes: shares of rows outside are at most {bound}"),
    "MP-17": Meaning("dual ≤ recovery", "pursuit finds the codes: their certificates are {bound}, below 1"),
}
"""claim -> what it means here"""
_ITS = {
    "reconstruction": "its reconstructions",
    "activation": "the activations",
    "world": "the world's features",
    "selection": "its selection",
}


def sentences(audit: Audit) -> list[tuple[str, str, str]]:
    """Claim by claim: its id, its status ("holds", "void", "refused" or "VIOLATED") and a plain sentence."""
    found = []
    for claim in dict.fromkeys(row.claim for row in audit.rows):
        rows = [row for row in audit.rows if row.claim == claim]
        broken = [row for row in rows if row.status == "VIOLATED"]
        if broken:
            where = " and ".join(dict.fromkeys(f"{row.part or 'its equality'} of {_ITS[row.view]}" for row in broken))
            found.append((claim, "VIOLATED", f"A proved bound fails, report this: {where}"))
            continue
        views = [view for view in VIEWS if any(row.view == view and row.measured is not None for row in rows)]
        status = "holds" if views else "void" if any(row.status == "void" for row in rows) else "refused"
        found.append((claim, status, _held(claim, rows, views) if views else _silent(rows, status)))
    return found


def _silent(rows: list[Row], status: str) -> str:
    why = list(dict.fromkeys(row.why for row in rows if row.status == status))
    if status == "void":
        return f"Says nothing here: {'; '.join(why)}"
    return f"Does not apply: no sample meets {' or '.join(f'“{one}”' for one in why)}"


def _held(claim: str, rows: list[Row], views: list[str]) -> str:
    """Of the first view in which the claim's main part says something; then of which other views it holds."""
    meaning = MEANINGS.get(claim)
    said = [row for view in views for row in rows if row.view == view and row.measured is not None]
    row = next((row for row in said if meaning is not None and row.part == meaning.part), said[0])
    text = f"Of {_ITS[row.view]}{_share(row)} "
    measured, bound = row.measured or 0.0, row.bound or 0.0
    if meaning is None or row.part != meaning.part:
        text += f"{row.part or 'its equality'} holds: {_figure(measured)} against {_figure(bound)}"
    else:
        text += meaning.says.format(measured=_figure(measured), bound=_figure(bound))
        text += "" if meaning.identity else f": {_worth(measured, bound, meaning.useful)}"
    others = [f"{_ITS[view]}{_share(next(row for row in said if row.view == view))}" for view in views]
    also = [other for view, other in zip(views, others, strict=True) if view != row.view]
    return text + (f". So for {' and '.join(also)}" if also else "")


def _worth(measured: float, bound: float, useful: float) -> str:
    if bound < 1e-6:
        return "exact"
    if bound >= useful:
        return "true, and too wide to be of use"
    if abs(measured) > 0.5 * bound:
        return "nearly attained"
    return "of use" if abs(measured) > 0.1 * bound else "of use, though loose"


def _share(row: Row) -> str:
    return "" if row.samples == row.of else f" ({row.samples} of {row.of} samples)"


def _figure(value: float) -> str:
    return "0" if abs(value) < 1e-6 else f"{value:.2g}"
