"""Certificates of a code: is it optimal for its own dictionary, and would pursuit have found its support?"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.streams import stream
from workbench.metrics.evidence import Evidence
from workbench.metrics.samples import Samples
from workbench.metrics.shelf import Values, anywhere, metric
from workbench.ratios import ratio, unit_rows


@dataclass(frozen=True)
class Certificates:
    """One entry for each sample whose code is not 0. W has unit rows w_j here and the codes are scaled to match.

    S is the support of the code f, D = W_S^T, r = x - f W.
    """

    kkt: Float[Tensor, " n"]
    """least violation, over penalties lam >= 0, of the optimality conditions of |x - f W|^2 / 2 + lam |f|_1, over |x|:
    <w_j, r> = lam sign f_j on S and |<w_j, r>| <= lam off it, lam taken as the mean of sign f_j <w_j, r> on S"""
    recovery: Float[Tensor, " n"]
    """max over j outside S of |D^+ w_j|_1, infinite where S is dependent. Below 1 (exact recovery condition) every x in
    span W_S has its support found by orthogonal matching pursuit and by basis pursuit."""
    dual: Float[Tensor, " n"]
    """max over j outside S of |<w_j, y>| for the least y with D^T y = sign f_S; below 1 (Fuchs) basis pursuit recovers
    these signs on this support alone; infinite where S is dependent"""


def certificates(samples: Samples) -> Certificates:
    """Certificates of each sample with a code other than 0.

    Source: Tropp (2004), theorem 3.1 (exact recovery condition); Fuchs (2004), theorem 2 (dual certificate).
    """
    rows, f = unit_rows(samples.rows), samples.f * samples.rows.norm(dim=1)
    correlations = samples.residual @ rows.T
    found = []
    for x, code, c in zip(samples.x, f, correlations, strict=True):
        on = code != 0
        if not bool(on.any()):
            continue
        signed = code[on].sign() * c[on]
        lam = signed.mean().clamp_min(0)
        off = (c[~on].abs() - lam).amax() if bool((~on).any()) else lam.new_zeros(())
        violation = torch.maximum((signed - lam).abs().amax(), off.clamp_min(0))
        kkt = ratio(float(violation), float(x.norm()), math.inf)
        found.append((kkt, *conditions(rows[on], rows[~on], code[on].sign())))
    columns = torch.tensor(found, dtype=torch.float64).reshape(-1, 3).unbind(1)
    return Certificates(*columns)


def conditions(
    inside: Float[Tensor, "k d"], outside: Float[Tensor, "r d"], sign: Float[Tensor, " k"]
) -> tuple[float, float]:
    """`recovery` and `dual` of one support: its unit rows, all other rows, and the signs of its codes.

    Source: Tropp (2004), theorem 3.1; Fuchs (2004), theorem 2.
    """
    factor, failed = torch.linalg.cholesky_ex(inside @ inside.T)
    if len(inside) > inside.shape[1] or int(failed) or float(factor.diagonal().min()) < 1e-6:
        return float("inf"), float("inf")
    if not len(outside):
        return 0.0, 0.0
    shares = torch.cholesky_solve(inside @ outside.T, factor)
    return float(shares.abs().sum(0).max()), float((sign @ shares).abs().max())


@metric(kkt=0.0, recovery_condition=1.0, recovery_condition_null=None, dual_certificate=1.0, dual_certificate_null=None)
@anywhere
def certified(evidence: Evidence) -> Values:
    """Of 64 samples' codes f on the SAE's own unit rows W. kkt: median violation of optimality over |x|, see below.

    The conditions are those of |x - f W|^2 / 2 + lam |f|_1 at the lam that the support itself shows; 0 for optimal
    codes, for least squares on a support that leaves nothing to find, and for too small a code on the best row: a large
    lam's optimum. recovery_condition: share of codes with max_{j outside S} |W_S^+ w_j|_1 < 1, so that pursuit finds
    every x in the span of that support; 1 where one latent fires. dual_certificate: share whose signs have a dual
    certificate, so that basis pursuit finds the code. Nulls: as many signs on random rows, which pass where few latents
    fire. Silent samples are left out; all are 0, and kkt 1, where every sample is silent.

    Source: Tropp (2004), theorem 3.1; Fuchs (2004), theorem 2; the kkt figure is ours.
    """
    values = {"kkt": 1.0}
    for ending, samples in (("", evidence.first), ("_null", shuffled(evidence.first))):
        found = certificates(samples)
        if len(found.kkt) and not ending:
            values["kkt"] = float(found.kkt.median())
        for name, share in (("recovery_condition", found.recovery), ("dual_certificate", found.dual)):
            values[name + ending] = float((share < 1).double().mean()) if len(share) else 0.0
    return values


def shuffled(samples: Samples) -> Samples:
    """Codes with as many entries of each sign, anywhere, on random rows; the same for latents in any order."""
    rng = stream(0, "null/certificates")
    rows = torch.randn(samples.rows.shape, generator=rng, dtype=torch.float64)
    order = torch.rand(samples.f.shape, generator=rng, dtype=torch.float64).argsort(1)
    signs = samples.f.sign().sort(1).values.gather(1, order)
    return Samples(signs @ rows, signs @ rows, signs, rows)
