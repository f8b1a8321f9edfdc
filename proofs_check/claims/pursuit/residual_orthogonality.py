"""MP-2: which picks the residual is orthogonal to: the last one in matching pursuit, all of them in OMP."""

import torch

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.pursuit.cases import UNIT, Greedy, leaning, pursued, scaled
from proofs_check.claims.pursuit.inductions import LEAST_SQUARES
from proofs_check.claims.pursuit.loops import SQUARES, STEPS
from proofs_check.engines import smt, symbolic
from proofs_check.instances.inductions import STEPPED
from workbench.parts import pursuit
from workbench.theory import pursuit as theory

LAST = Hypothesis("compared with the last pick", lambda case: case.lag)


def _conclusion(case: Greedy) -> dict[str, Part]:
    a, w = case.picked
    last, size, lag = a.shape[1] - 1, case.size.sqrt(), case.lag
    product = (case.residuals[:, -1] * w[:, max(last - lag, 0)]).sum(1)
    moved = a[:, last]
    path = pursuit.orthogonal_matching_pursuit(case.x, case.rows, case.steps)
    with_picks = (case.rows[path.indices] @ path.residual[..., None]).squeeze(2) * (path.values != 0)
    at_last = torch.where(moved != 0, product, 0.0)  # a slot that was not needed holds no pick
    return {
        "MP, last pick": at_most(at_last.abs(), 0.0, unit=size),
        "MP, last pick, any norm": equal(at_last, theory.product_after(moved, w[:, last].square().sum(1)), unit=size),
        "OMP, every pick": at_most(with_picks.abs().amax(1), 0.0, unit=size),
    }


def _last(symbols, ops):
    """Coordinates: <w, r - <w, r> w> against the shipped product."""
    for d in (1, 2, 3):
        r, w = symbols(f"r:{d}"), symbols(f"w:{d}")
        a = _dot(r, w)
        yield _dot(w, [p - a * q for p, q in zip(r, w, strict=True)]), theory.product_after(a, _dot(w, w))


def _by_products(unknowns, ops):
    a, w2 = unknowns("a w2")
    after = theory.product_after(a, w2)
    return [w2 >= 0], [a - a * w2 == after, ops.where(w2 == 1, after, 0) == 0]


def _least_squares(symbols, ops):
    """Two picks: f = G^-1 W_S x by Cramer's rule, and <w_i, x - f W_S> = 0 for both."""
    for d in (2, 3):
        x, w, v = symbols(f"x:{d}"), symbols(f"w:{d}"), symbols(f"v:{d}")
        ww, vv, wv, wx, vx = _dot(w, w), _dot(v, v), _dot(w, v), _dot(w, x), _dot(v, x)
        volume = ww * vv - wv * wv
        f, g = (vv * wx - wv * vx) / volume, (ww * vx - wv * wx) / volume
        rest = [p - f * q - g * s for p, q, s in zip(x, w, v, strict=True)]
        yield _dot(w, rest), 0
        yield _dot(v, rest), 0


def _dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


CLAIM = Claim(
    id="MP-2",
    statement=(
        "For unit rows the residual of matching pursuit is orthogonal to the row just picked, whatever the rule; for "
        "any norm ⟨w, r'⟩ = a(1 − |w|²). To earlier picks it is not. The residual of orthogonal matching pursuit is "
        "orthogonal to all of them."
    ),
    tex=r"\langle w_{j_T},r_T\rangle=a_T(1-\|w_{j_T}\|^2)=0",
    source="Costa et al. (2025), arXiv 2506.03093, proposition 3.1; Pati et al. (1993) for OMP",
    stated="equivalent",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(UNIT, LAST),
    instances=pursued(),
    conclusion=_conclusion,
    controls=(
        Control("unit rows", scaled(0.3, 0.95, steps=1), "shorter rows leave a part"),
        Control(LAST.name, leaning([1.0, 0.3], steps=2, lag=1), "the pick before the last"),
    ),
    proofs={
        LOOPS: (symbolic.identity("⟨w, r'⟩, coordinate by coordinate", "d = 1..3", _last), STEPS, SQUARES),
        ("MP, last pick", "MP, last pick, any norm"): (
            STEPPED,
            smt.implies("⟨w, r'⟩ by inner products; 0 at |w| = 1", "all d", _by_products),
        ),
        "OMP, every pick": (STEPPED, LEAST_SQUARES),
        BESIDE: symbolic.identity("least squares on two picks", "two picks, d = 2, 3", _least_squares),
    },
    kernel={
        "MP, last pick": "pursuit.product_after",
        "MP, last pick, any norm": "pursuit.product_after",
    },
    mutants=(
        Mutant("1 + |w|²", theory.product_after, lambda a, w2: a * (1 + w2)),
        Mutant("|w|⁴ for |w|²", theory.product_after, lambda a, w2: a * (1 - w2 * w2)),
        Mutant("matching pursuit as OMP", pursuit.orthogonal_matching_pursuit, pursuit.matching_pursuit),
    ),
    note="That residuals of trained models are nearly orthogonal to all earlier picks is reported, and not a theorem.",
)
