"""DC-12: evidence on one concept moves activations in n_k - 1 dimensions, or in n_k: a concept is no single line."""

from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, equal
from proofs_check.claims.concepts.cases import SMALL
from proofs_check.claims.concepts.probe_cases import Evidence
from proofs_check.instances.draw import mostly
from workbench.theory import concept_probes as theory


def _conclusion(case: Evidence) -> dict[str, Part]:
    return {"dimension": equal(case.rank, theory.change_rank(case.values, revealing=case.revealing))}


ALONE = Hypothesis("evidence on this concept alone", lambda case: case.beside)
FACTORISED = Hypothesis("p(c|s) factorises, or tokens reveal c", lambda case: case.entangled)


def _any(**settings):
    values = mostly(st.integers(3, 4), st.integers(2, 4))
    return st.builds(lambda seed, n: Evidence(seed, n, **settings), SMALL, values)


CLAIM = Claim(
    id="DC-12",
    statement=(
        "Contexts that differ in evidence on c_k alone, p(c|s') ∝ p(c|s) w(c_k): activations differ within n_k − 1 "
        "dimensions where tokens reveal configurations, for any dependence, within n_k where each value has a token "
        "and p(c|s) factorises. A binary concept is then a plane: λ_k a + softplus(λ_k) a'."
    ),
    tex=r"\dim\mathrm{span}\{x(s')-x(s)\}=n_k-1\ \text{or}\ n_k",
    source="ours; Liu et al. (2025), arXiv 2503.08980, corollary 4.2, as reported by readers",
    kind="identity",
    promised=Verdict.SUPPORTED,
    hypotheses=(ALONE, FACTORISED),
    instances=_any() | _any(revealing=False, factorised=True),
    nontrivial=lambda case: case.values > 2,
    conclusion=_conclusion,
    controls=(
        Control(ALONE.name, _any(second=True), "evidence on a second concept as well"),
        Control(FACTORISED.name, _any(revealing=False), "typed tokens, dependent posterior: other marginals move too"),
    ),
    mutants=(
        Mutant("a line each", theory.change_rank, lambda values, *, revealing: 1),
        Mutant("n_k for both", theory.change_rank, lambda values, *, revealing: values),
    ),
    note="Numerical ranks, relative tolerance 1e-9, of 40 differences with concepts of 2 to 4, 2 and 3 values.",
)
