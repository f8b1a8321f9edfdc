"""AFA-16: a dictionary that knows nothing of the data is a global optimum of the top-AFA objective."""

from dataclasses import dataclass
from functools import cached_property

import torch
from hypothesis import strategies as st
from torch import Tensor

import synthetic as S
from proofs_check.claim import BESIDE, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import smt, symbolic
from proofs_check.instances.draw import SEEDS, numbers, rows_of
from workbench.parts.base import Pass
from workbench.sae import SAE
from workbench.tensors import TENSOR
from workbench.theory import afa, top_afa
from workbench.variants import create


@dataclass(frozen=True, eq=False)
class SignSplit:
    """Any data x under the top-AFA SAE with W_enc = [A, -A, 0], W_dec = [A^T; -A^T; any]; `half` leaves [A, 0]."""

    x: Tensor
    basis: Tensor
    half: bool = False
    extra: int = 0
    """latents beyond 2d, whose encoder is 0"""

    def __str__(self) -> str:
        half = ", without −A" if self.half else ""
        return f"x {digits(self.x)}, A {digits(self.basis)}{half}, {self.extra} idle latents"

    @property
    def encoder(self) -> Tensor:
        """W_enc without the idle latents."""
        return self.basis if self.half else torch.cat((self.basis, -self.basis), 1)

    @cached_property
    def sae(self) -> SAE:
        """The shipped variant, float64, with these weights; default settings."""
        encoder = self.encoder
        d, m = encoder.shape
        sae = create("top_afa", d, m + self.extra).double().eval()
        with torch.no_grad():
            sae.W_enc[:, :m], sae.W_enc[:, m:] = encoder, 0.0
            sae.W_dec[:m] = encoder.T
        return sae

    @cached_property
    @torch.no_grad()
    def out(self) -> Pass:
        """Its forward pass."""
        return self.sae.trace(self.x)


def _conclusion(case: SignSplit) -> dict[str, Part]:
    out, x2 = case.out, case.x.square().sum(1)
    f = out.dense()
    f2 = f.square().sum(1)
    with torch.no_grad():
        objective = sum(case.sae.loss(out).values())
    plus, minus = top_afa.sign_split(case.x @ case.basis, ops=TENSOR)
    return {
        "objective 0": equal(objective, 0.0, unit=x2.mean()),
        "x̂ = x": equal((case.x - out.x_hat).square().sum(1), 0.0, unit=x2),
        "|f| = |x|": equal(f2, x2, unit=x2),
        "at most d of 2d active": at_most((f > 0).sum(1), case.x.shape[1]),
        "LBO = 0": equal(afa.lbo_dense(x2, f2, f.shape[1], ops=TENSOR), 0.0),
        "the halves' energy is |x|²": equal((plus.square() + minus.square()).sum(1), x2, unit=x2),
        "the halves give x": equal(((plus - minus) @ case.basis.T - case.x).square().sum(1), 0.0, unit=x2),
    }


def _split(unknowns, ops):
    z = unknowns("z")
    plus, minus = top_afa.sign_split(z, ops=ops)
    return [], [plus >= 0, minus >= 0, plus - minus == z, plus * plus + minus * minus == z * z, plus * minus == 0]


def _stops(unknowns, ops, count):
    """With C_d = tau the shipped loop stops at the d positive contributions, ahead of the zeros."""
    norms = [unknowns(f"C{i}") for i in range(1, count + 1)]
    rising = [a < b for a, b in zip([0, *norms], norms, strict=False)]
    return rising, [top_afa.nearest_prefix([*norms, norms[-1], norms[-1]], norms[-1], ops=ops) == count]


def _rotation(symbols, ops):
    """Any rotation or reflection of the plane gives x back from xA."""
    t = symbols("t")
    c, s = (1 - t**2) / (1 + t**2), 2 * t / (1 + t**2)
    x = symbols("x:2")
    for a in ([[c, s], [-s, c]], [[c, s], [s, -c]]):
        z = [sum(x[i] * a[i][j] for i in range(2)) for j in range(2)]
        yield sum(v**2 for v in z), sum(v**2 for v in x)
        yield from ((sum(z[j] * a[i][j] for j in range(2)), x[i]) for i in range(2))


ORTHOGONAL = Hypothesis(
    "A orthogonal", lambda case: (case.basis @ case.basis.T - torch.eye(len(case.basis))).abs().max()
)
BOTH_SIGNS = Hypothesis(
    "m ≥ 2d: both signs of A", lambda case: torch.cdist(case.encoder.T, -case.encoder.T).amin(1).max()
)


@st.composite
def _cases(draw, half=False, orthogonal=True):
    d, n = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    value = st.integers(-3, 3) | numbers(-5, 5) | numbers(-4, 4).map(lambda e: 10.0**e)
    x = draw(rows_of(value, n, d))
    basis = torch.eye(d, dtype=torch.float64)
    if draw(st.booleans()):
        basis = S.Orthonormal().draw(d, d, S.stream(draw(SEEDS), "claim"))
    if not orthogonal:
        basis[:, 0] = basis[:, 0] + basis[:, -1] / 2
    return SignSplit(x, basis, half, draw(st.integers(0, 3)))


CLAIM = Claim(
    id="AFA-16",
    statement=(
        "For m ≥ 2d and any orthogonal A, W_enc = [A, −A], W_dec = [Aᵀ; −Aᵀ], b_dec = 0 gives x̂ = x and |f| = |x| "
        "on every data set: squared error, norm loss and LBO are 0 with about d active latents. The top-AFA "
        "objective holds no sparsity pressure and does not identify features."
    ),
    tex=r"W_{enc}=[A,-A]\ \Rightarrow\ \hat x=x,\quad \|f\|=\|x\|,\quad \mathcal{L}=0\quad\mathrm{for\ all}\ x",
    source="ours, against Lee et al. (2025), arXiv 2503.24277",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(ORTHOGONAL, BOTH_SIGNS),
    instances=_cases(),
    nontrivial=lambda case: (case.x @ case.basis).min() < 0 < (case.x @ case.basis).max(),
    conclusion=_conclusion,
    controls=(
        Control(ORTHOGONAL.name, _cases(orthogonal=False), "one column sheared"),
        Control(BOTH_SIGNS.name, _cases(half=True), "W_enc = [A]: negative coordinates are lost"),
    ),
    proofs={
        BESIDE: (
            smt.implies("the two halves give z and z², one of them 0", "one coordinate", _split),
            *(
                smt.implies("selection stops at the d positive ones, shipped loop", f"d = {d}", _stops, count=d)
                for d in (1, 2, 3, 4)
            ),
            symbolic.identity("(xA)Aᵀ = x and |xA| = |x|", "d = 2; all rotations and reflections but by π", _rotation),
        ),
    },
    kernel={
        "the halves' energy is |x|²": ("selection.sign_split", "selection.trivial_optimum"),
        "the halves give x": ("selection.sign_split", "selection.trivial_optimum"),
    },
    mutants=(
        Mutant("absolute value for −z's part", top_afa.sign_split, lambda z, *, ops=None: (abs(z), 0 * z)),
        Mutant("no rectifier", top_afa.sign_split, lambda z, *, ops=None: (z, -z)),
    ),
    note=(
        "What is said of the SAE is sampled: the shipped one runs on drawn data, heavy-tailed and constant ones "
        "included. Contributions below 1e-8 of |x| may be dropped: their share of |x|² is below rounding. That the "
        "halves give x and |x|² is a theorem for every A with A Aᵀ = I."
    ),
    shown_by="experiments/afa/rule.py",
)
