"""DC-16: along the image of 1[c_k = 1], steering multiplies the odds of c_k and leaves the rest as it was."""

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
from hypothesis import strategies as st

import synthetic as S
from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.concepts.cases import Predicted, predicted
from proofs_check.engines import smt, symbolic
from proofs_check.instances.loops import evaluated
from workbench.theory import concept_probes as theory
from workbench.topics.concepts.regression import affine_fit


@dataclass(frozen=True)
class Steering:
    """A predictor whose activations are moved by alpha v_k."""

    base: Predicted
    alpha: float

    def __str__(self) -> str:
        return f"{self.base}, alpha {self.alpha:g}"


def _conclusion(case: Steering) -> dict[str, Part]:
    model, x, u = case.base.model, case.base.x, case.base.u
    has = model.has_value[1]  # the first concept's value 1
    a, _ = affine_fit(model.log_posterior, x, model.weights)
    moved = x + case.alpha * (has.double() @ a)
    owner = model.token_posterior.argmax(1)

    def configurations(at: torch.Tensor) -> torch.Tensor:
        shares = (at @ u.T).softmax(1)
        return torch.zeros(len(at), model.n_configurations, dtype=torch.float64).index_add(1, owner, shares)

    before = configurations(x)
    wanted = torch.stack(theory.steered(list(before.T), has.tolist(), math.exp(case.alpha)), 1)
    (first, second), (after, rest) = ((p[:, has].sum(1), p[:, ~has].sum(1)) for p in (before, wanted))
    kept = before / torch.where(has, first[:, None], second[:, None])
    return {
        "|p(c) after, by the law|": at_most((configurations(moved) - wanted).abs().max(), 1e-8),
        "the law's odds of c_k": equal(after / rest, math.exp(case.alpha) * first / second),
        "the law's p(c_-k|c_k)": equal(
            (wanted / torch.where(has, after[:, None], rest[:, None]) - kept).abs().max(), 0
        ),
    }


def _configuration(unknowns, ops):
    """Of the raised sum: a configuration with c_k = c, 1 or 0."""
    g, raised, has, rest, p, c = unknowns("g raised has rest p c")
    after = {"raised": raised + p * ops.where(c == 1, g, ops.num("1"))}
    after |= {"has": has + p * c, "rest": rest + p * (1 - c)}
    return smt.Invariant([raised == g * has + rest], after, given=[(c == 0) | (c == 1)])


def _odds(unknowns, ops):
    """Of the sums over c_k = 1 and the rest, as steered; and the shares p, q of a configuration in its sum."""
    g, has, rest, p, q = unknowns("g has rest p q")
    first, second = theory.steered([has, rest], [True, False], g)
    raised = g * has + rest
    given = [g > 0, has > 0, rest > 0]
    return given, [
        first / second == g * (has / rest),
        p * g / raised / first == p / has,
        q / raised / second == q / rest,
    ]


def _long(draw):
    g, p = Fraction(abs(draw.number())), [Fraction(abs(v)) for v in draw.vector(draw.n)]
    has = [i % 3 == 0 for i in range(draw.n)]
    total = sum(g * v if one else v for v, one in zip(p, has, strict=True))
    yield theory.steered(p, has, g), [g * v / total if one else v / total for v, one in zip(p, has, strict=True)]


def _laws(symbols, ops):
    p, g = symbols("p:4", positive=True), symbols("g", positive=True)
    after = theory.steered(p, [False, False, True, True], g)
    yield (after[2] + after[3]) / (after[0] + after[1]), g * (p[2] + p[3]) / (p[0] + p[1])
    yield after[2] / after[3], p[2] / p[3]
    yield after[0] / after[1], p[0] / p[1]
    a, b = symbols("a b", positive=True)
    free = theory.steered([a * b, a, b, 1], [False, True, False, True], g)  # a product: the other concept's odds stay
    yield (free[0] + free[1]) / (free[2] + free[3]), a


REVEALING = Hypothesis("y determines c", lambda case: case.base.model.token_ambiguity)


def _cases(tokens):
    made = predicted(
        st.just(tokens), st.sampled_from([S.Energy(64, 0.5), S.Energy(64, 1.0)]), sizes=[(2, 2), (2, 3), (2, 2, 2)]
    )
    return st.builds(Steering, made, st.sampled_from([-2.0, 0.5, 1.0, 3.0]))


CLAIM = Claim(
    id="DC-16",
    statement=(
        "With tokens that reveal configurations, adding α v_k, v_k the image of 1[c_k = 1] under the fit of x on "
        "log p(c|s), multiplies the odds of c_k by e^α in what the model then predicts and leaves p(c_-k | c_k) alone, "
        "for any dependence."
    ),
    tex=r"\frac{p'(c_k=1)}{p'(c_k\neq1)}=e^\alpha\frac{p(c_k=1)}{p(c_k\neq1)},\quad p'(c_{-k}|c_k)=p(c_{-k}|c_k)",
    source="ours, of linear concept directions in Liu et al. (2025), arXiv 2503.08980",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(REVEALING,),
    instances=_cases(S.JointRevealing()),
    nontrivial=lambda case: case.base.nontrivial,
    conclusion=_conclusion,
    controls=(Control(REVEALING.name, _cases(S.Leak(0.3)), "tokens that leak"),),
    proofs={
        ("the law's odds of c_k", "the law's p(c_-k|c_k)"): (
            smt.induction("raised sums", "all l: induction over configurations", _configuration),
            smt.implies("odds and conditionals of the raised", "all l: by the sums", _odds),
        ),
        LOOPS: evaluated("steered, as defined", _long),
        BESIDE: symbolic.identity("and the other's odds, if independent", "two binary concepts, any p(c)", _laws),
    },
    mutants=(
        Mutant(
            "every configuration raised",
            theory.steered,
            lambda p, has, factor: [q * factor / sum(p) for q in p],
        ),
    ),
)
