"""R-11: what a small moment restriction takes to show that an encoder is nearly affine."""

from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.actions import encoder_cases
from proofs_check.claims.actions.cases import Noise
from proofs_check.claims.actions.encoder_cases import Encoder
from proofs_check.claims.actions.moment_restriction import CURVED
from proofs_check.claims.actions.scale_of_the_encoder import CURVATURE, SCALING
from proofs_check.engines import balls
from proofs_check.instances.draw import numbers
from workbench.theory import actions as theory

LARGEST = 1e-6
"""of the relative restriction"""


def _conclusion(case: Encoder) -> dict[str, Part]:
    share, v = encoder_cases.unexplained(case), case.noise.moments(3)[2]
    return {
        "share beyond affine": at_most(share, 0.005),
        "by its ratio": equal(share, theory.curved_share(case.mmr / case.variance, case.effect, v, case.width), unit=1),
    }


SMALL = Hypothesis("MMR / Var κ ≤ 1e−6", lambda case: max(0.0, case.mmr / case.variance - LARGEST))
KERNEL = Hypothesis("a Gaussian kernel", encoder_cases.off_kernel)
NORMAL = Hypothesis("normal ν", encoder_cases.off_normal)
SPREAD = Hypothesis("a uniform on [−1, 1]", encoder_cases.off_spread)
CURVE = Hypothesis("κ a multiple of h + ch²", lambda case: abs(case.sine))


@st.composite
def _nearly_affine(draw, law="gaussian", most=1.0):
    """Curved by as much as a small relative restriction allows, or by a share of that; shrunk or not."""
    sd, m, share = draw(numbers(0.5, 1.0)), draw(numbers(0.75, 1.5)), draw(st.just(1.0) | numbers(0, 1))
    c = most * share * (LARGEST * (m * m / 3 + sd * sd) / theory.curved_mmr(1.0, m, 1.0)) ** 0.5
    return Encoder(c, m, Noise(law, sd), scale=draw(st.sampled_from([1.0, 1e-3])))


@st.composite
def _curved(draw, **changes):
    m, noise = draw(numbers(0.75, 1.5)), Noise("gaussian", draw(numbers(0.5, 1.0)))
    return Encoder(draw(numbers(1, 2)), m, noise, **changes)


SINE = numbers(0.12, 0.2).map(lambda e: Encoder(0.0, 1.0, Noise("gaussian", 1.0), sine=e))
BOX = {"share": ("0", "1/1000000"), "m": ("3/4", "3/2"), "v": ("1/4", "1")}


def _left(share, m, v, ops):
    return ops.num("1/200") - theory.curved_share(share, m, v, ops.num("1"), ops=ops)


CLAIM = Claim(
    id="R-11",
    statement=(
        "For κ a multiple of h + ch², h = Ma + ν with normal ν of standard deviation ½ to 1 and M in [¾, 3/2], a "
        "uniform on [−1, 1] and a Gaussian kernel of width 1, the share of κ beyond affine maps is MMR / Var κ times "
        "Var(h²) / (M⁴Q_1): a ratio of 1e−6 leaves .005 at most. MMR alone does not: a thousandth of any encoder has "
        "a millionth of it. Nor does the ratio for other κ, with a kernel k = aa′ or with two actions."
    ),
    tex=r"\frac{\mathrm{MMR}}{\mathrm{Var}\,\kappa}\leq10^{-6}\;\Rightarrow\;1-R^2(\kappa\sim h)\leq.005",
    source="ours, by R-7; conditions as reported of theorem 6 in Saengkyongam et al. (2024), arXiv 2310.04295",
    kind="bound",
    promised=Verdict.PROVED,
    hypotheses=(SMALL, CURVE, KERNEL, NORMAL, SPREAD),
    instances=_nearly_affine(),
    conclusion=_conclusion,
    controls=(
        Control(SMALL.name, _curved(scale=1e-3), "curved and shrunk: MMR itself is below 1e−6"),
        Control(CURVE.name, SINE, "h + .15 sin πh under normal ν: 8e−10 of a ratio leaves .0084"),
        Control(KERNEL.name, _curved(kernel="linear"), "k = aa′: 0 for every even residual"),
        Control(NORMAL.name, _nearly_affine("uniform", 0.5), "uniform ν: another Var(h²)"),
        Control(SPREAD.name, _curved(ends=True), "two actions: 0 for every κ"),
    ),
    proofs={
        ("share beyond affine", "by its ratio"): (CURVED, CURVATURE, *SCALING),
        "share beyond affine": (
            balls.positive(".005 less the share", "all N; M in [3/4, 3/2], ν of variance in [1/4, 1]", BOX, _left),
        ),
    },
    mutants=(
        edited("twice Var h²", theory.curved_share, lambda f: lambda r, m, v, s, **o: 2 * f(r, m, v, s, **o)),
        Mutant(
            "explained for unexplained",
            encoder_cases.unexplained,
            lambda case: case.mean(case.table[3] ** 2) / case.variance,
        ),
    ),
    note=(
        "By R-7 the share is the ratio times Var(h²) / (M⁴Q_s). Nor does MMR tell encoders apart that are "
        "affine: it is 0 for φ = Hh with H singular. Reconstruction must."
    ),
)
