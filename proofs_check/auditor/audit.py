"""Theory read off a checkpoint: the ledger's own claims, judged on a trained SAE in the place of a drawn instance."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from proofs_check.claim import Claim, Part, Relation, Void
from proofs_check.claim import parts as named_parts
from proofs_check.instances.mixture import Mixture
from proofs_check.instances.selection import Selection
from proofs_check.shelf import claims, title_of
from synthetic.base.errors import must
from synthetic.base.progress import track
from synthetic.base.streams import stream
from synthetic.rows import as_source
from synthetic.source import Source
from workbench.metrics.evidence import truth_of
from workbench.parts.encoders import NormMatched, centred
from workbench.sae import SAE

TOLERANCE = 1e-6
"""relative; an SAE's weights are float32 and read in float64"""
_PAIRS = 2**21
"""pairs of active latents looked at in one go"""


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

    Raises:
        ValueError: a stack, or an SAE of another width than the world's.
    """
    must(not sae.shape, "audit.sae", "a single SAE", f"a stack of shape {sae.shape}", "audit its members one by one")
    must(world.d == sae.d, "audit.world", f"of dimension {sae.d}, the SAE's", world.d, "pass the SAE's own world")
    must(n >= 1, "audit.n", "at least 1", n, "draw some samples")
    sae = copy.deepcopy(sae).double().eval()
    batch = world.sample(n, stream(seed, "audit"))
    x = batch.x.double()
    with torch.no_grad():
        f = sae.encode(x)
        rows, bias = sae.W_dec.detach(), (sae.b_dec / sae.scale).detach()
    rows, h = _with_bias(rows, f, bias)
    yield "reconstruction", Mixture(rows, h, h @ rows)
    yield "activation", Mixture(rows, h, x)
    truth = truth_of(world)
    if truth is not None:
        rows, true = _with_bias(truth.features.double(), batch.h.dense().double(), truth.bias.double())
        yield "world", Mixture(rows, true, x)
    encoder = sae.encoder
    if isinstance(encoder, NormMatched) and encoder.as_published:
        with torch.no_grad():
            scaled = x * sae.scale
            a, tau = encoder.contributions(scaled, sae.decoder), centred(scaled, sae.decoder).norm(dim=1)
        sentinel, bias_norm = 1e4 if encoder.sentinel else None, float(sae.b_dec.detach().norm())
        yield "selection", Selection(a, tau, scaled.norm(dim=1), bias_norm, sentinel)


def _with_bias(rows: Tensor, h: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Unit rows and their coefficients, the bias last; rows of norm 0 contribute nothing and are left out."""
    rows = torch.cat((rows, bias[None]))
    h = torch.cat((h, h.new_ones(len(h), 1)), 1)
    norm = rows.norm(dim=1)
    kept = norm > 0
    return rows[kept] / norm[kept, None], h[:, kept] * norm[kept]


def audit(sae: SAE, world: Source, n: int = 1000, seed: int = 1) -> Audit:
    """Judge every readable claim of the ledger on an SAE: which hypotheses hold, what the bounds give, how tight.

    Args:
        sae: a single trained SAE.
        world: where its activations come from.
        n: samples, fresh ones.
        seed: of the samples.
    """
    found, shelf = list(views(sae, as_source(world), n, seed)), list(claims().values())
    readings = [(view, case, claim) for view, case in found for claim in shelf if type(case) is claim.reads]
    met: dict[tuple[str, str], Met] = {}
    rows = []
    for view, case, claim in track(readings, "auditing"):
        keep, failing = torch.ones(_count(case), dtype=torch.bool), ""
        for hypothesis in claim.hypotheses:
            holds = hypothesis.met(case, TOLERANCE).expand_as(keep)
            worst = float(torch.as_tensor(hypothesis.deviation(case)).max())
            own = Met(view, hypothesis.name, int(holds.sum()), len(keep), max(worst, 0.0))
            met[view, hypothesis.name] = own
            failing = failing or ("" if own.samples == own.of else own.hypothesis)
            keep &= holds
        if bool(keep.any()):
            parts = _in_blocks(claim, case.take(keep))
            rows += [_row(view, claim, *named, failing, int(keep.sum()), len(keep)) for named in parts.items()]
        else:
            rows.append(Row(view, claim.id, "", "refused", failing, 0, len(keep), title=title_of(claim)))
    return Audit(list(met.values()), rows)


def _count(case: Case) -> int:
    return len(case.x) if isinstance(case, Mixture) else len(case.tau)


def _in_blocks(claim: Claim, case: Case) -> dict[str, Part]:
    """The claim's conclusion, a block of samples at a time where supports are large."""
    if isinstance(case, Selection):
        return named_parts(claim.conclusion(case))
    block = max(1, _PAIRS // int(case.k.max()) ** 2)
    index = torch.arange(len(case.x))
    found = [named_parts(claim.conclusion(case.take((index // block) == i))) for i in range(-(-len(index) // block))]
    return {name: _join([block[name] for block in found]) for name in found[0]}


def _join(pieces: list[Part]) -> Part:
    said = [piece for piece in pieces if isinstance(piece, Relation)]
    if not said:
        return pieces[0]
    sides = {side: torch.cat([getattr(piece, side) for piece in said]) for side in ("measured", "bound", "unit")}
    return Relation(**sides, equality=said[0].equality)


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
