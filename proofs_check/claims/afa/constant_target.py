"""AFA-20: on standardised inputs the top-AFA target is a constant."""

from dataclasses import dataclass

from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, digits, equal
from proofs_check.engines import balls, smt, symbolic
from proofs_check.instances.draw import numbers, rows_of
from workbench.theory import top_afa


@dataclass(frozen=True)
class Raw:
    """One raw input, the standard deviation it is divided by, and what is added to that."""

    x: Tensor
    sd: float
    eps: float = 1e-5

    def __str__(self) -> str:
        return f"raw input {digits(self.x)}, divided by {self.sd:.6g} + {self.eps:g}"


def _conclusion(case: Raw) -> dict[str, Part]:
    d = len(case.x)
    norm = ((case.x - case.x.mean()) / (case.sd + case.eps)).norm()
    return {
        "norm": equal(norm, top_afa.standardised_norm(d, case.sd, case.eps)),
        "never above √(d − 1)": at_most(norm, (d - 1) ** 0.5),
    }


def _standardise(symbols, ops):
    eps = symbols("eps", positive=True)
    for d in (2, 3, 4, 5):
        x = symbols(f"x:{d}")
        mean = sum(x) / ops.num(str(d))
        square = sum((v - mean) ** 2 for v in x)
        variance = symbols("variance", positive=True)
        norm = top_afa.standardised_norm(ops.num(str(d)), ops.sqrt(variance), eps, ops=ops)
        yield ((square / (ops.sqrt(variance) + eps) ** 2) / norm**2).subs(variance, square / (d - 1)), 1


def _entry(unknowns, ops):
    """Σ (v / size)² = Σ v² / size² of the centred entries v."""
    scaled, square, size, v = unknowns("scaled square size v")
    after = {"scaled": scaled + (v / size) ** 2, "square": square + v * v}
    return smt.Invariant([scaled * size * size == square], after, given=[size > 0])


def _norm(unknowns, ops):
    """s² = Σ v² / (d − 1)."""
    norm, square, d, s, eps = unknowns("norm square d s eps")
    given = [d >= 2, s >= 0, eps > 0, norm >= 0, (d - 1) * s * s == square]
    given += [norm * norm * (s + eps) * (s + eps) == square]
    found = top_afa.standardised_norm(d, s, eps, ops=ops)
    return given, [norm == found, found <= ops.sqrt(d - 1)]


def _gpt2(sd, ops):
    norm = top_afa.standardised_norm(ops.num("768"), sd, ops.num("1/100000"), ops=ops)
    return norm - ops.sqrt(ops.num("767")) + ops.num("1/100")


UNBIASED = Hypothesis("divided by the unbiased standard deviation", lambda case: abs(case.sd - float(case.x.std())))


@st.composite
def _cases(draw, biased=False):
    d = draw(st.integers(2, 12))
    x = draw(rows_of(st.integers(-3, 3) | numbers(-5, 5), 1, d))[0]
    x[0] += float(x.max() - x.min() < 0.01)  # not constant
    return Raw(x, float(x.std(correction=0 if biased else 1)))


CLAIM = Claim(
    id="AFA-20",
    statement=(
        "An input standardised over its d entries with eps has norm √(d − 1) s/(s + eps), about √(d − 1) for every "
        "input. So with standardisation the top-AFA target is a constant, and all that adapts is the shape of the "
        "contributions."
    ),
    tex=r"\|\tilde x\|=\sqrt{d-1}\,\frac{s}{s+\epsilon}",
    source="ours; the standardisation is that of the reference code of Lee et al. (2025), arXiv 2503.24277",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(UNBIASED,),
    instances=_cases(),
    nontrivial=lambda case: len(case.x.unique()) > 2,
    conclusion=_conclusion,
    controls=(Control(UNBIASED.name, _cases(biased=True), "the biased one: √d"),),
    proofs={
        LOOPS: symbolic.identity("|x̃|² against the formula's square", "d = 2..5", _standardise),
        ("norm", "never above √(d − 1)"): (
            smt.induction("|x̃|² is Σ (x − mean)² over (s + eps)²", "all d: induction over entries", _entry),
            smt.implies("so |x̃| is the formula, at most √(d − 1)", "all d", _norm),
        ),
        BESIDE: balls.positive(
            "at GPT-2's d = 768 within 1/100 of √767", "s in [1/10, 10]", {"sd": ("1/10", "10")}, _gpt2
        ),
    },
    mutants=(
        Mutant(
            "√d",
            top_afa.standardised_norm,
            lambda d, s, e, *, ops=None: d**0.5 * s / (s + e) if ops is None else ops.sqrt(d) * s / (s + e),
        ),
        Mutant(
            "without eps",
            top_afa.standardised_norm,
            lambda d, s, e, *, ops=None: (d - 1) ** 0.5 if ops is None else ops.sqrt(d - 1),
        ),
    ),
    shown_by="experiments/afa/rule.py",
)
