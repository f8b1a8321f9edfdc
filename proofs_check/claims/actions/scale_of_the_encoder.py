"""R-7: MMR scales with the square of the encoder; relative to the codes' variance it does not, and shows curvature."""

from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, equal
from proofs_check.claims.actions.cases import Noise
from proofs_check.claims.actions.encoder_cases import Encoder, Sample, off_normal, samples, unexplained
from proofs_check.claims.actions.moment_restriction import CURVED, LONG
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import numbers
from proofs_check.instances.loops import evaluated
from proofs_check.kernel.evaluations import EXACT
from workbench.theory import actions as theory
from workbench.theory.ops import FLOAT
from workbench.topics.actions import mmr as restriction


@dataclass(frozen=True)
class Scaled:
    """A sample with factors, and an encoder t (h + c h²) in the population."""

    sample: Sample
    encoder: Encoder

    def __str__(self) -> str:
        return f"{self.encoder}; {self.sample}"


def _conclusion(case: Scaled) -> dict[str, Part]:
    sample, factor = case.sample, float(case.sample.factors[0])
    curved, whole = case.encoder, replace(case.encoder, scale=1.0)
    relative, size = curved.mmr / curved.variance, sample.size / sample.spread
    share = theory.curved_share(relative, curved.effect, curved.noise.size**2, curved.width)
    both = sample, sample.scaled
    plain, after = (theory.mmr(*one.lists[1:], one.width) for one in both)
    told, told_after = (theory.relative_mmr(*one.lists, one.width) for one in both)
    shipped = [sample.relative(), sample.scaled.relative()]
    return {
        "MMR(cφ) = c² MMR(φ)": equal(after / factor**2, plain, unit=sample.size),
        "relative MMR": equal(told_after, told, unit=size),
        "as shipped": equal(torch.tensor(shipped), torch.tensor([told, told_after]), unit=size),
        "in the population": equal(curved.mmr / curved.scale**2, whole.mmr),
        "share beyond affine": equal(share, unexplained(curved)),
    }


def _sums(unknowns, ops):
    """Of c times residuals, alone and times an action (0 where the fit is least), k <r, r'>, and square deviations."""
    c, r, ra, near, spread = unknowns("c r ra near spread")
    r_c, ra_c, near_c, spread_c = unknowns("r_c ra_c near_c spread_c")
    one, a, other, k, off = unknowns("one a other k off")
    says = [r_c == c * r, ra_c == c * ra, near_c == c * c * near, spread_c == c * c * spread]
    plain = {"r": r + one, "ra": ra + one * a, "near": near + k * one * other, "spread": spread + off * off}
    scaled = {"r_c": r_c + c * one, "ra_c": ra_c + c * one * a, "near_c": near_c + k * (c * one) * (c * other)}
    return smt.Invariant(says, {**plain, **scaled, "spread_c": spread_c + (c * off) * (c * off)})


def _ratio(unknowns, ops):
    c, near, spread, n = unknowns("c near spread n")
    return [c != 0, spread > 0, n > 0], [(c * c * near / n) / (c * c * spread) == (near / n) / spread]


def _scaling(symbols, ops):
    """Residuals of the fit scale too."""
    c = symbols("c", nonzero=True)
    codes, a = [symbols(f"z{i}_:2") for i in range(3)], symbols("a:3")
    s, actions = symbols("s", positive=True), [[v] for v in a]
    scaled = [[c * z for z in row] for row in codes]
    left, after = theory.residuals(codes, a), theory.residuals(scaled, a)
    yield from ((v, c * u) for row, old in zip(after, left, strict=True) for v, u in zip(row, old, strict=True))
    r = [symbols(f"r{i}_:2") for i in range(3)]
    twice = [[c * v for v in row] for row in r]
    plain = theory.mmr(r, actions, s, ops=ops)
    yield theory.mmr(twice, actions, s, ops=ops), c**2 * plain
    one = theory.relative_mmr(codes, r, actions, s, ops=ops)
    yield theory.relative_mmr(scaled, twice, actions, s, ops=ops), one


def _affine_fit(symbols, ops):
    """Residuals are orthogonal to 1 and a, and those of an affine function are 0."""
    a, z, w, b = symbols("a:4"), symbols("z:4"), symbols("w"), symbols("b")
    left = [row[0] for row in theory.residuals([[v] for v in z], a)]
    yield sum(left), 0
    yield sum(r * v for r, v in zip(left, a, strict=True)), 0
    yield from ((row[0], 0) for row in theory.residuals([[w * v + b] for v in a], a))


def _curvature(symbols, ops):
    """Cov(h, h²) = 0 and Var h², by moments of h = M a + nu; the share is c² Var h² / Var kappa, its MMR curved_mmr."""
    m, c = symbols("M c")
    v, s, variance = (symbols(name, positive=True) for name in ("v", "s", "k"))
    noise = theory.gaussian_moments(v, 5)
    powers = [theory.conditional_mean([0] * j + [1], m, noise) for j in range(5)]
    moments = [sum(value / (i + 1) for i, value in enumerate(p) if i % 2 == 0) for p in powers]
    yield moments[3], 0
    bent = moments[4] - moments[2] ** 2
    relative = theory.curved_mmr(c, m, s, ops=ops) / variance
    yield theory.curved_share(relative, m, v, s, ops=ops), c**2 * bent / variance
    h2, g2 = symbols("h2 g2", positive=True)  # Var h and Var h², uncorrelated
    yield 1 - h2**2 / (h2 * (h2 + c**2 * g2)), c**2 * g2 / (h2 + c**2 * g2)


def _by_sums(draw):
    """Any function will do for the exponential."""
    n, ops = draw.n, replace(EXACT, exp=lambda x: Fraction(x).numerator % 97)
    codes, a = [[Fraction(v) for v in row] for row in draw.rows(n, 9, 99)], [Fraction(v) for v in draw.vector(n, 99)]
    columns, left, spread = [list(column) for column in zip(*codes, strict=True)], [], 0
    for z in columns:
        along, spread = (
            sum(x * y for x, y in zip(a, z, strict=True)),
            spread + sum(v * v for v in z) / n - (sum(z) / n) ** 2,
        )
        slope = (n * along - sum(a) * sum(z)) / (n * sum(x * x for x in a) - sum(a) ** 2)
        left.append([v - slope * x - (sum(z) - slope * sum(a)) / n for x, v in zip(a, z, strict=True)])
    left = [list(row) for row in zip(*left, strict=True)]
    yield theory.residuals(codes, a), left
    points = [[v] for v in a]
    yield theory.relative_mmr(codes, left, points, 3, ops=ops) * spread, theory.mmr(left, points, 3, ops=ops)


SCALING = (
    smt.induction("sums of scaled residuals", "all N, n, q: induction over samples", _sums),
    smt.implies("their ratio", "all N", _ratio),
)
CURVATURE = symbolic.identity("share beyond affine maps", "all M, c, v, s", _curvature)
ONE = Hypothesis("one factor for all latents", lambda case: abs(float(case.sample.factors.diff().sum())))
NORMAL = Hypothesis("normal ν", lambda case: off_normal(case.encoder))


@st.composite
def _scaled(draw, law="gaussian", uneven=False):
    noise = Noise(law, draw(numbers(0.3, 1.5)))
    c, m, t = draw(numbers(0.1, 2)), draw(numbers(0.5, 2)), draw(st.sampled_from([1.0, 1e-3]) | numbers(0.1, 5))
    width = draw(st.sampled_from([0.3, 1.0]) | numbers(0.2, 2))
    return Scaled(draw(samples(uneven=uneven)), Encoder(c, m, noise, width, t))


def _plain(z, a, width, *, unbiased=False):
    return restriction.mmr(restriction.linear_part(z, a)[2], a, width)


_relative, _share = theory.relative_mmr, theory.curved_share

CLAIM = Claim(
    id="R-7",
    statement=(
        "MMR(cφ) = c² MMR(φ), with the affine fit done anew: an autoencoder whose decoder undoes c evades the penalty. "
        "MMR / tr Cov φ does not change with c; and for κ any multiple of h + bh² with normal ν it is the share of κ's "
        "variance beyond affine maps of h, times M⁴Q_s / Var(h²)."
    ),
    tex=r"\mathrm{MMR}(c\varphi)=c^2\,\mathrm{MMR}(\varphi),\qquad"
    r"1-R^2=\frac{\mathrm{MMR}}{\mathrm{tr\,Cov}}\cdot\frac{\mathrm{Var}\,h^2}{M^4Q_s}",
    source="ours, of the penalty of Saengkyongam et al. (2024), arXiv 2310.04295",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(ONE, NORMAL),
    instances=_scaled(),
    nontrivial=lambda case: case.encoder.nontrivial,
    conclusion=_conclusion,
    controls=(
        Control(ONE.name, _scaled(uneven=True), "a factor of its own for each latent: whiten the codes"),
        Control(NORMAL.name, _scaled(law="uniform"), "uniform ν: another Var(h²)"),
    ),
    proofs={
        ("MMR(cφ) = c² MMR(φ)", "relative MMR", "in the population"): SCALING,
        LOOPS: (
            symbolic.identity("residuals, MMR and its ratio", "N = 3, n = 2, q = 1, all c ≠ 0 and s", _scaling),
            LONG,
            evaluated("residuals by sums, and the ratio by the codes' variances", _by_sums, 33),
        ),
        BESIDE: symbolic.identity("the affine fit", "N = 4, q = 1", _affine_fit),
        "share beyond affine": (CURVED, CURVATURE, *SCALING),
    },
    mutants=(
        Mutant(
            "over the squared trace", theory.relative_mmr, lambda z, r, a, s, *, ops=FLOAT: _squared(z, r, a, s, ops)
        ),
        Mutant("plain MMR", restriction.relative_mmr, _plain),
        Mutant("no level in the fit", theory.residuals, lambda z, a: [[v for v in row] for row in z]),
        Mutant("variances alone", theory.curved_share, lambda r, m, v, s, *, ops=FLOAT: _share(r, m, 0, s, ops=ops)),
    ),
)


def _squared(codes, left, actions, width, ops):
    return _relative(codes, left, actions, width, ops=ops) ** 2 / theory.mmr(left, actions, width, ops=ops)
