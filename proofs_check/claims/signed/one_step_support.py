"""AT-5: one step finds the support while |h|_1 / min |h| < (1 + 1/mu) / 2; beyond it a dictionary can hide it."""

import torch
from hypothesis import strategies as st
from scipy.linalg import hadamard

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS, mostly, numbers, unit_rows
from proofs_check.instances.inductions import TOP
from proofs_check.instances.loops import evaluated
from proofs_check.instances.mixture import EXACT, UNIT_ROWS, Mixture
from proofs_check.kernel.evaluations import EXACT as EXACTLY
from proofs_check.kernel.evaluations import Draw, Pairs
from synthetic.base.streams import stream
from synthetic.laws.directions import overlaps
from workbench.theory import signed as theory
from workbench.theory.ops import FLOAT


def _conclusion(case: Mixture) -> dict[str, Part]:
    u, h, mu = (case.rows @ case.x[0]), case.h[0], case.coherence
    on, l1 = h != 0, float(case.l1[0])
    floors = [theory.support_floor(v, l1, mu) for v in h[on].tolist()]
    rest = torch.cat((u[~on].abs(), u.new_zeros(1)))  # 0 where every row is active
    kept = torch.tensor(theory.abs_top_k(u.tolist(), int(on.sum()))) != 0
    return {
        "on": at_most(floors, u[on].abs(), unit=l1),
        "off": at_most(rest.max(), theory.rest_ceiling(l1, mu), unit=l1),
        "bias": at_most((u - h)[on].abs(), [theory.one_step_bias(v, l1, mu) for v in h[on].tolist()], unit=l1),
        "apart": at_most(rest.max(), u[on].abs().min(), unit=l1),
        "support": equal(float((kept != on).sum()), 0.0),
    }


def _step(unknowns, ops):
    g, l1, t, product, mu = unknowns("g l1 t product mu")
    size = ops.abs
    after = {"g": g + t * product, "l1": l1 + size(t)}
    return smt.Invariant([size(g) <= theory.rest_ceiling(l1, mu)], after, given=[size(product) <= mu])


def _on(unknowns, ops):
    """U_i = h_i + g, g over the other active rows."""
    h, g, l1, mu = unknowns("h g l1 mu")
    given = [ops.abs(g) <= theory.rest_ceiling(l1 - ops.abs(h), mu)]
    u = ops.abs(h + g)
    return given, [
        theory.support_floor(h, l1, mu, ops=ops) <= u,
        ops.abs(g) <= theory.one_step_bias(h, l1, mu, ops=ops),
    ]


def _apart(unknowns, ops):
    h, least, l1, mu = unknowns("h least l1 mu")
    given = [least > 0, ops.abs(h) >= least, mu > 0, mu <= 1, l1 < theory.recoverable_ratio(mu, ops=ops) * least]
    return given, [theory.rest_ceiling(l1, mu) < theory.support_floor(h, l1, mu, ops=ops)]


def _apart_at_0(unknowns, ops):
    h, l1 = unknowns("h l1")
    return [ops.abs(h) > 0], [theory.rest_ceiling(l1, 0) < theory.support_floor(h, l1, 0, ops=ops)]


def _sharp(symbols, ops):
    """At the ratio itself, floor and ceiling meet."""
    least, mu = symbols("h", positive=True), symbols("mu", positive=True)
    l1 = theory.recoverable_ratio(mu, ops=ops) * least
    yield theory.support_floor(least, l1, mu, ops=ops), theory.rest_ceiling(l1, mu)


def _sorted(draw: Draw) -> Pairs:
    """Of 4n entries the n largest by sorting, those of equal size in their order; where they are, as the proofs say."""
    u, k = draw.vector(4 * draw.n), draw.n
    u[1], u[3] = -u[0], u[2]
    first = set(sorted(range(len(u)), key=lambda i: -abs(u[i]))[:k])
    yield theory.abs_top_k(u, k, ops=EXACTLY), [u[i] if i in first else 0 for i in range(len(u))]
    yield theory.gradient_mask(u, k, ops=EXACTLY), [int(i in first) for i in range(len(u))]


INSIDE = Hypothesis("|h|₁/min|h| < (1 + 1/μ)/2", lambda case: max(0.0, _ratio(case) - _allowed(case)))


def _ratio(case: Mixture) -> float:
    return float(case.l1[0] / case.h[case.h != 0].abs().min())


def _allowed(case: Mixture) -> float:
    return theory.recoverable_ratio(case.coherence) - 1e-6


def _rows(draw):
    match draw(mostly(st.just("bases"), st.sampled_from(["alike", "small", "few", "wide"]))):
        case "bases":
            d = draw(st.sampled_from([16, 16, 16, 64]))
            return torch.cat((torch.eye(d), torch.from_numpy(hadamard(d)) / d**0.5)).double()
        case "alike":
            m = draw(st.integers(4, 8))
            signs = 1 - 2 * torch.randint(0, 2, (m, m), generator=stream(draw(SEEDS), "claim"), dtype=torch.float64)
            upper = draw(numbers(0.1, 0.9)) / (m - 1) * signs.triu(1)
            return torch.linalg.cholesky(upper + upper.T + torch.eye(m, dtype=torch.float64))
        case "small":
            rows = draw(unit_rows(draw(st.integers(1, 4)), draw(st.integers(2, 5))))
            return rows if len(rows) < 2 or overlaps(rows).max() < 0.99 else rows[:1]
        case "few":
            return torch.eye(draw(st.integers(1, 6)), 6, dtype=torch.float64)
        case _:
            return _random(draw(SEEDS))


def _random(seed):
    rows = torch.randn(12, 128, generator=stream(seed, "claim"), dtype=torch.float64)
    return rows / rows.norm(dim=1, keepdim=True)


@st.composite
def _inside(draw, outside=False):
    """As many active rows as the coherence allows, or fewer; what it leaves goes to the sizes."""
    rows = _rows(draw)
    plain = Mixture.exact(rows, torch.ones(len(rows)))
    ratio = min(theory.recoverable_ratio(plain.coherence) if len(rows) > 1 else 9.0, 9.0)
    most = max(1, min(int(ratio * 0.999), len(rows)))
    k = draw(st.integers(min(2, most), most))
    where = draw(st.lists(st.integers(0, len(rows) - 1), min_size=k, max_size=k, unique=True))
    shares = torch.tensor(draw(st.lists(numbers(0, 1), min_size=k, max_size=k)), dtype=torch.float64)
    shares[0] = 0.0
    sizes = 1 + shares / shares.sum().clamp_min(1) * max(0.0, 0.99 * ratio - k)
    if k > 1 and max(where) < rows.shape[1] < len(rows):  # of two bases, one row of the other
        where[0] += rows.shape[1]
    signs = torch.tensor(draw(st.lists(st.sampled_from([1.0, -1.0]), min_size=k, max_size=k)), dtype=torch.float64)
    h = torch.zeros(len(rows), dtype=torch.float64)
    h[where] = sizes * signs * (1000.0 if outside else draw(st.sampled_from([1.0, 0.01, 100.0])))
    return Mixture.exact(rows, h)


@st.composite
def hidden(draw, beyond=0.0):
    """K >= 2 equal active rows with products -mu, one more with products mu with all of them, mu = 1 / (2k - 1)."""
    k = draw(st.integers(2, 5))
    mu = (1 + beyond) / (2 * k - 1)
    gram = torch.full((k + 1, k + 1), -mu, dtype=torch.float64)
    gram[-1, :] = gram[:, -1] = mu
    gram.fill_diagonal_(1.0)
    return Mixture.exact(torch.linalg.cholesky(gram), torch.tensor([1.0] * k + [0.0]))


def _short(t: float) -> Mixture:
    return Mixture.exact([[t, 0], [0, 1.0]], [[1.0, 0]])


def _moved(t: float) -> Mixture:
    return Mixture.exact(torch.eye(2), [[1.0, 0]]).beside(torch.tensor([[1.0, t]], dtype=torch.float64))


CLAIM = Claim(
    id="AT-5",
    statement=(
        "x = Σ_S h_i v_i, unit rows of coherence μ, u = xVᵀ: |u_i| ≥ |h_i| − μ(|h|₁ − |h_i|) on S and |u_j| ≤ μ|h|₁ "
        "off it, so the |S| largest |u| are S if |h|₁/min|h| < (1 + 1/μ)/2. Values are  off by up to μ(|h|₁ − |h_i|)."
    ),
    tex=r"\|h\|_1/\min_S|h_i|<\tfrac12(1+1/\mu)\;\Rightarrow\;\mathrm{supp}\,\mathrm{AbsTopK}_k(xV^\top)=S",
    source="ours; for equal sizes the bound of Tropp (2004) for OMP",
    kind="tight",
    promised=Verdict.PROVED,
    hypotheses=(UNIT_ROWS, EXACT, INSIDE),
    instances=_inside(),
    conclusion=_conclusion,
    extremal={"on": hidden(), "off": hidden(), "apart": hidden()},
    controls=(
        Control("unit rows", numbers(0.1, 0.9).map(_short), "an active row of length below 1"),
        Control("exact: x = hV", numbers(1.1, 4).map(_moved), "x = h + tv_2"),
        Control(INSIDE.name, hidden(beyond=0.2), "a passive row that agrees with all active ones"),
    ),
    proofs={
        ("on", "off", "bias", "apart", "support"): smt.induction(
            "|Σ h_j G_ij| ≤ μ Σ|h_j|", "all k: induction over active rows", _step
        ),
        ("on", "bias", "apart", "support"): smt.implies("floor and bias on the support", "all k", _on),
        ("apart", "support"): (
            smt.implies("inside the ratio the ceiling is below every floor", "all k, all sizes, μ > 0", _apart),
            smt.implies("so it is at μ = 0", "all k, all sizes", _apart_at_0),
        ),
        "support": TOP,
        LOOPS: evaluated("the shipped abs_top_k, by sorting", _sorted),
        BESIDE: symbolic.identity("at the ratio they meet", "all μ", _sharp),
    },
    kernel={
        "off": "selection.one_step_bias",
        "bias": "selection.one_step_bias",
        "apart": "pursuit.one_step_support",
    },
    mutants=(
        Mutant("k for |h|₁/min|h|: 1/μ", theory.recoverable_ratio, lambda mu, *, ops=FLOAT: ops.ratio(1, mu)),
        Mutant("all of |h|₁", theory.support_floor, lambda h, l1, mu, *, ops=None: abs(h) + mu * (l1 - abs(h))),
        Mutant("half the ceiling", theory.rest_ceiling, lambda l1, mu: mu * l1 / 2),
        Mutant("half the bias", theory.one_step_bias, lambda h, l1, mu, *, ops=None: mu * (l1 - abs(h)) / 2),
        edited("one kept too few", theory.abs_top_k, lambda f: lambda u, k, **settings: f(u, k - 1, **settings)),
    ),
    note=(
        "At the ratio itself floor and ceiling are the same number; instances of k equal sizes with μ = 1/(2k − 1) "
        "attain both."
    ),
)
