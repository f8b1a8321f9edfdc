"""Theory read off a checkpoint: the ledger's own claims, judged on a trained SAE in the place of a drawn instance."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from proofs_check.claim import Claim, Part, Relation, Void
from proofs_check.claim import parts as named_parts
from proofs_check.instances.mixture import Mixture
from proofs_check.instances.selection import Selection
from proofs_check.shelf import claims, title_of
from synthetic.base.errors import must
from synthetic.base.progress import counted
from synthetic.base.streams import stream
from synthetic.rows import as_source
from synthetic.source import Codes, Source
from workbench.metrics.evidence import truth_of
from workbench.parts.encoders import NormMatched, centred
from workbench.sae import SAE

TOLERANCE = 1e-6
"""relative; an SAE's weights are float32 and read in float64"""
_PAIRS = 2**22
"""samples times active latents times active latents or dimensions, looked at in one go"""
_ENTRIES = 2**23
"""samples times latents encoded in one go"""


VIEWS = {
    "reconstruction": "x̂ as latents and bias times unit rows",
    "activation": "x against the same latents and rows",
    "world": "x against the world's own features",
    "selection": "what the SAE's own rule keeps of its contributions",
}
"""what is put in the place of x, V and h"""
Case = Mixture | Selection


@dataclass(frozen=True)
class Row:
    """One part of one claim under one view."""

    view: str
    claim: str
    part: str
    status: str
    """"holds", "refused" (a hypothesis fails), "void" (says nothing here) or "VIOLATED" """
    why: str = ""
    """the first hypothesis that fails on some sample, or why a part is void"""
    samples: int = 0
    """samples on which every hypothesis holds"""
    of: int = 0
    measured: float | None = None
    """median over those samples, in the claim's unit"""
    bound: float | None = None
    """the same of the bound"""
    slack: float | None = None
    """least bound - measured"""
    tightest: float | None = None
    """largest measured / bound"""
    title: str = ""
    """the claim's name in words"""


@dataclass(frozen=True)
class Met:
    """On how many samples a hypothesis holds under one view."""

    view: str
    hypothesis: str
    samples: int
    of: int
    worst: float
    """largest distance from holding"""


@dataclass(frozen=True)
class Audit:
    """What the ledger says of an SAE."""

    hypotheses: list[Met]
    rows: list[Row]


def views(sae: SAE, world: Source, n: int, seed: int) -> Iterator[tuple[str, Case]]:
    """The ways a claim about (x, V, h) can be read off one SAE and n samples of a world (stream "audit").

    Decoder rows are scaled to norm 1 and latents by the norms; the bias b is one more row b/|b| with coefficient |b|.
    Where samples, latents or supports are large, each view comes in several cases of fewer samples, of like supports.

    Raises:
        ValueError: a stack, or an SAE of another width than the world's.
    """
    must(not sae.shape, "audit.sae", "a single SAE", f"a stack of shape {sae.shape}", "audit its members one by one")
    must(world.d == sae.d, "audit.world", f"of dimension {sae.d}, the SAE's", world.d, "pass the SAE's own world")
    must(n >= 1, "audit.n", "at least 1", n, "draw some samples")
    sae = copy.deepcopy(sae).double().eval()
    batch, truth = world.sample(n, stream(seed, "audit")), truth_of(world)
    rows = _Rows(sae.W_dec.detach(), sae.b_dec.detach() / sae.scale)
    true = None if truth is None else _Rows(truth.features.double(), truth.bias.double())
    block = max(1, _ENTRIES // max(sae.m, 0 if truth is None else len(truth.features)))
    for at in range(0, n, block):
        x = batch.x[at : at + block].double()
        with torch.no_grad():
            h = rows.codes(sae.encode(x))
        made = Mixture(rows.unit, h, h @ rows.unit, figures_of_rows=rows.figures)
        for alike in _alike(made):
            part = made.take(alike)
            yield "reconstruction", part
            yield "activation", part.beside(x[alike])
        if true is not None:
            h = true.codes(_part(batch.h, at, block).dense().double())
            made = Mixture(true.unit, h, x, figures_of_rows=true.figures)
            yield from (("world", made.take(alike)) for alike in _alike(made))
        if isinstance(sae.encoder, NormMatched) and sae.encoder.as_published:
            yield "selection", _selection(sae, sae.encoder, x)


class _Rows:
    """Unit rows, the bias one of them; rows of norm 0 contribute nothing and are left out."""

    def __init__(self, rows: Tensor, bias: Tensor) -> None:
        rows = torch.cat((rows, bias[None]))
        norm = rows.norm(dim=1)
        self.kept = norm > 0
        self.norm, self.unit = norm[self.kept], rows[self.kept] / norm[self.kept, None]
        self.figures: dict[Any, Any] = {}

    def codes(self, f: Tensor) -> Tensor:
        """Coefficients of the unit rows, that of the bias last."""
        return torch.cat((f, f.new_ones(len(f), 1)), 1)[:, self.kept] * self.norm


def _part(h: Codes, at: int, count: int) -> Codes:
    return replace(h, indices=h.indices[at : at + count], values=h.values[at : at + count])


def _selection(sae: SAE, encoder: NormMatched, x: Tensor) -> Selection:
    with torch.no_grad():
        scaled = x * sae.scale
        a, tau = encoder.contributions(scaled, sae.decoder), centred(scaled, sae.decoder).norm(dim=1)
    sentinel, bias_norm = 1e4 if encoder.sentinel else None, float(sae.b_dec.detach().norm())
    return Selection(a, tau, scaled.norm(dim=1), bias_norm, sentinel)


def audit(sae: SAE, world: Source, n: int = 1000, seed: int = 1) -> Audit:
    """Judge every readable claim of the ledger on an SAE: which hypotheses hold, what the bounds give, how tight.

    Time grows with samples times L0² d, memory with neither: samples are judged in blocks of like supports.

    Args:
        sae: a single trained SAE.
        world: where its activations come from.
        n: samples, fresh ones.
        seed: of the samples.
    """
    readings: dict[tuple[str, str], _Reading] = {}
    shelf = list(claims().values())
    with counted("auditing", "samples", after=2.0) as move:
        done: dict[str, int] = {}
        for view, case in views(sae, as_source(world), n, seed):
            for claim in shelf:
                if type(case) is claim.reads:
                    readings.setdefault((view, claim.id), _Reading(view, claim)).add(case)
            done[view] = done.get(view, 0) + _count(case)
            move(min(done.values()), n)
    ordered = sorted(readings.values(), key=lambda reading: list(VIEWS).index(reading.view))
    met = {(own.view, own.hypothesis): own for reading in ordered for own in reading.met.values()}
    return Audit(list(met.values()), [row for reading in ordered for row in reading.rows()])


class _Reading:
    """One claim under one view, block by block."""

    def __init__(self, view: str, claim: Claim) -> None:
        self.view, self.claim = view, claim
        self.met: dict[str, Met] = {}
        self.parts: dict[str, list[Part]] = {}
        self.samples = self.of = 0

    def add(self, case: Case) -> None:
        """Judge a block: the conclusion is asked of the samples on which every hypothesis holds."""
        count = _count(case)
        keep = torch.ones(count, dtype=torch.bool)
        for hypothesis in self.claim.hypotheses:
            holds = hypothesis.met(case, TOLERANCE).expand_as(keep)
            worst = max(float(torch.as_tensor(hypothesis.deviation(case)).max()), 0.0)
            own = self.met.setdefault(hypothesis.name, Met(self.view, hypothesis.name, 0, 0, 0.0))
            self.met[hypothesis.name] = replace(
                own, samples=own.samples + int(holds.sum()), of=own.of + count, worst=max(own.worst, worst)
            )
            keep &= holds
        self.of, self.samples = self.of + count, self.samples + int(keep.sum())
        if bool(keep.any()):
            found = self.claim.conclusion(case if bool(keep.all()) else case.take(keep))
            for name, part in named_parts(found).items():
                self.parts.setdefault(name, []).append(part)

    def rows(self) -> list[Row]:
        """A row a part; one in all where a hypothesis fails on every sample."""
        failing = next((own.hypothesis for own in self.met.values() if own.samples < own.of), "")
        if not self.parts:
            return [Row(self.view, self.claim.id, "", "refused", failing, 0, self.of, title=title_of(self.claim))]
        joined = {name: _join(pieces) for name, pieces in self.parts.items()}
        return [_row(self.view, self.claim, *named, failing, self.samples, self.of) for named in joined.items()]


def _count(case: Case) -> int:
    return len(case.x) if isinstance(case, Mixture) else len(case.tau)


def _alike(case: Mixture) -> Iterator[Tensor]:
    """Places of samples in blocks of like supports, each small enough for all pairs of a support."""
    order = case.k.argsort(stable=True)
    sizes = case.k[order].long().tolist()
    at = 0
    while at < len(sizes):
        end = at + 1
        while end < len(sizes) and (end + 1 - at) * sizes[end] * max(sizes[end], case.d) <= _PAIRS:
            end += 1
        yield order[at:end].sort().values
        at = end


def _join(pieces: list[Part]) -> Part:
    said = [piece for piece in pieces if isinstance(piece, Relation)]
    if not said:
        return pieces[0]
    sides = {side: torch.cat([getattr(piece, side) for piece in said]) for side in ("measured", "bound", "unit")}
    return replace(said[0], **sides)


def _row(view: str, claim: Claim, name: str, part: Part, failing: str, samples: int, n: int) -> Row:
    if isinstance(part, Void):
        return Row(view, claim.id, name, "void", part.reason, samples, n, title=title_of(claim))
    measured, bound = part.measured / part.unit, part.bound / part.unit
    size = torch.maximum(measured.abs(), bound.abs()).clamp_min(1.0)
    good = bool((part.margin >= -TOLERANCE * size).all())
    ratio = part.tightness[(bound > 0) & part.tightness.isfinite()]
    return Row(
        view,
        claim.id,
        name,
        "holds" if good else "VIOLATED",
        failing,
        samples,
        n,
        float(measured.median()),
        float(bound.median()),
        float(part.margin.min()),
        float(ratio.max()) if len(ratio) and not part.equality else None,
        title_of(claim),
    )
