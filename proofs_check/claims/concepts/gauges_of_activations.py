"""DC-11: two optima of one prediction problem differ by a matrix, where unembeddings span the width."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

import synthetic as S
from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited
from proofs_check.claims.concepts.cases import predicted
from proofs_check.engines import symbolic
from proofs_check.instances.loops import evaluated
from synthetic.concepts.activations import Readout, exact_activations, numerical_rank
from workbench.theory import concept_probes as theory
from workbench.theory import interactions
from workbench.topics.concepts import gauge
from workbench.topics.concepts.regression import r_squared


@dataclass(frozen=True, eq=False)
class Optima:
    """Two readouts of one model."""

    one: Readout
    other: Readout
    weights: Float[Tensor, " s"]
    said: str = ""

    def __str__(self) -> str:
        return self.said

    @property
    def spare(self) -> int:
        """Dimensions that no logit depends on."""
        return sum(
            r.u.shape[1] - numerical_rank(torch.linalg.svdvals(gauge.differences(r.u))) for r in (self.one, self.other)
        )


def _conclusion(case: Optima) -> dict[str, Part]:
    ways = (case.one.x, case.other.x), (case.other.x, case.one.x)
    found: dict[str, Part] = {
        name: at_most(1 - r_squared(a, b, case.weights), 1e-10, unit=1e-10)
        for name, (a, b) in zip(("x' ~ x", "x ~ x'"), ways, strict=True)
    }
    if not case.spare:
        found["x' by its dual rows"] = at_most(_read(case), 1e-6)
        found["|x' − x Gᵀ|"] = at_most(gauge.align(case.one, case.other, case.weights).error, 1e-7)
    return found


def _read(case: Optima) -> float:
    """Largest error of x' read from the logits of x, over four contexts, by the dual of its own differences."""
    seen, rows = gauge.differences(case.one.u).T.tolist(), gauge.differences(case.other.u)
    logits = [theory.products(seen, x) for x in case.one.x[:4].tolist()]
    gram = (rows @ rows.T).tolist()
    found = [interactions.dual_code(theory.products(rows.tolist(), row), gram) for row in logits]
    return float((torch.tensor(found, dtype=torch.float64) - case.other.x[:4]).abs().max() / case.other.x.abs().max())


def _defined(draw):
    rows, x = draw.rows(draw.n, draw.d), draw.vector(draw.d)
    yield theory.products(rows, x), [sum(row[c] * x[c] for c in range(draw.d)) for row in rows]


def _moved(symbols, ops):
    """(L'^T)^+, for columns that are independent, takes x' back from its products, which are those of x."""
    import sympy

    x = list(symbols("x:2"))
    for tokens in (2, 3):
        rows = sympy.Matrix(tokens, 2, symbols(f"a:{2 * tokens}"))
        back = (rows.T * rows).inv() * rows.T * sympy.Matrix(theory.products(rows.tolist(), x))
        yield from zip(map(sympy.cancel, back), x, strict=True)


SPAN = Hypothesis("differences of unembeddings span the width", lambda case: case.spare)


@st.composite
def _pairs(draw, extra=0):
    case = draw(predicted(st.sampled_from([S.JointRevealing(), S.ConceptTyped(), S.Generic(12), S.Homonyms()])))
    rng = S.stream(case.concepts.seed, "claim/gauge")
    one, other = exact_activations(case.model, rng), exact_activations(case.model, rng)
    if extra:
        size = float(other.x.std())
        x = torch.cat((other.x, size * torch.randn(len(other.x), extra, generator=rng, dtype=torch.float64)), 1)
        other = Readout(x, torch.cat((other.u, torch.zeros(len(other.u), extra, dtype=torch.float64)), 1))
    return Optima(one, other, case.model.weights, str(case))


CLAIM = Claim(
    id="DC-11",
    statement=(
        "Two optima with one p(y|s) satisfy (u_j − u_0)·x = (u'_j − u'_0)·x'. If both sets of differences span the "
        "width, x' = Gx with G = (L̂'ᵀ)⁺L̂ᵀ up to a constant, and R² is 1 both ways. In wider models the rest of x is "
        "arbitrary: always report the readout's part."
    ),
    tex=r"x'=(\hat L'^\top)^+\hat L^\top x",
    source="ours; softmax readouts up to a linear map: Roeder, Metz, Kingma (2021), arXiv 2007.00810",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(SPAN,),
    instances=_pairs(),
    nontrivial=lambda case: case.one.x.shape[1] > 1,
    conclusion=_conclusion,
    controls=(Control(SPAN.name, _pairs(extra=3), "three more dimensions of noise, which no logit sees"),),
    proofs={
        LOOPS: evaluated("products, as defined", _defined),
        BESIDE: symbolic.identity("x' from its products", "d = 2, three or four tokens, any L̂'", _moved),
    },
    kernel={"x' by its dual rows": "factors.dual_code"},
    mutants=(
        edited("half of it", interactions.dual_code, lambda f: lambda p, gram: [v / 2 for v in f(p, gram)]),
        edited("the other way round", gauge.gauge, lambda f: lambda one, other: f(other, one)),
        Mutant(
            "products reversed",
            theory.products,
            lambda rows, x: [sum(a * b for a, b in zip(row, x[::-1], strict=True)) for row in rows],
        ),
    ),
)
