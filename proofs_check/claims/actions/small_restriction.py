"""R-11: a small moment restriction does not show that an encoder is affine."""

from dataclasses import dataclass

from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most
from proofs_check.claims.actions import encoder_cases as intervention_encoders
from proofs_check.claims.actions.cases import Noise
from proofs_check.claims.actions.encoder_cases import Encoder
from proofs_check.instances.draw import numbers


@dataclass(frozen=True)
class Evasions:
    """Encoders in one-latent populations."""

    encoders: tuple[Encoder, ...]


def _conclusion(case: Evasions) -> dict[str, Part]:
    return {"least share beyond affine": at_most(min(map(intervention_encoders.unexplained, case.encoders)), 0.01)}


SMALL = Hypothesis("MMR ≤ 1e−6", lambda case: max(0.0, *(e.mmr - 1e-6 for e in case.encoders)))


@st.composite
def _small(draw, large=False):
    """Shrunk; an even residual under k = aa'; a sine under uniform noise; two actions."""
    c, m = draw(numbers(1, 2)), draw(numbers(0.5, 1.5))
    normal, uniform = Noise("gaussian", draw(numbers(0.5, 1.0))), Noise("uniform", 1.0)
    if large:
        return Evasions((Encoder(c, m, normal),))
    shrunk, even = Encoder(c, m, normal, scale=1e-3), Encoder(c, m, normal, kernel="linear")
    sine = Encoder(0.0, 1.0, uniform, sine=draw(numbers(0.2, 0.3)))
    return Evasions((shrunk, even, sine, Encoder(c, m, normal, ends=True)))


@st.composite
def _affine(draw):
    """Where it holds."""
    m, size, t = draw(numbers(0.5, 1.5)), draw(numbers(0.3, 1.0)), draw(numbers(0.1, 2))
    return Evasions((Encoder(0.0, m, Noise("gaussian", size), scale=t),))


CLAIM = Claim(
    id="R-11",
    statement=(
        "Reading: a small MMR shows that the encoder is affine in the latents. A thousandth of a curved encoder has a "
        "millionth of its MMR; under a kernel k = aa′, under uniform noise, or with two actions MMR is 0 for encoders "
        "more than .01 from affine. Under normal noise and a Gaussian kernel the relative MMR does show it (R-6, R-7)."
    ),
    tex=r"\mathrm{MMR}(\varphi)\leq10^{-6}\;\Rightarrow\;1-R^2(\varphi\sim h)\leq.01",
    source="a reading of Saengkyongam et al. (2024), arXiv 2310.04295, theorem 6; corrected in R-7",
    kind="refuted",
    promised=Verdict.REFUTED,
    hypotheses=(SMALL,),
    instances=_small(),
    conclusion=_conclusion,
    controls=(Control(SMALL.name, _small(large=True), "nothing shrunk: MMR tells"),),
    mutants=(
        Mutant(
            "explained for unexplained",
            intervention_encoders.unexplained,
            lambda case: case.mean(case.table[3] ** 2) / case.variance,
            _affine(),
        ),
    ),
    note="Nor does MMR tell encoders apart that are affine: it is 0 for φ = Hh with H singular. Reconstruction must.",
)
