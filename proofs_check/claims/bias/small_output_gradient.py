"""BA-5: at small output scale every latent follows its own gradient."""

import sympy

from proofs_check.claim import Claim, Control, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.bias.latent_cases import SMALL, UNIT, Latents, latents
from proofs_check.engines import smt, symbolic
from workbench.theory import bias as theory


def _conclusion(case: Latents) -> dict[str, Part]:
    size, straight = case.x.square().sum(1).mean(), case.decoupled
    found = case.slope(case.scale)
    error = (found - straight).norm()
    return {
        "error": at_most(error, case.gap, unit=size),
        "one part in ten": at_most(error, straight.norm() / 10, unit=size),
        "carried on to a = 0": equal(2 * found - case.slope(2 * case.scale), straight, unit=size),
    }


def _derivative(symbols, ops):
    """The derivative of minus the gradient in a at a = 0, each of two latents on or off, both activations."""
    for d in (1, 2):
        x, w, v = symbols(f"x:{d}"), symbols(f"w:{d}"), symbols(f"v:{d}")
        t, a, excess = symbols("t"), symbols("a"), symbols("s", positive=True)
        u, other = (sum(p * q for p, q in zip(row, x, strict=True)) for row in (w, v))
        for factor, cut in ((theory.relu_factor, t), (theory.jump_factor, 0)):
            for on, beside in ((1, 0), (1, 1), (0, 1)):
                hat = [a * (p * on * (u - cut) + q * beside * (other - cut)) for p, q in zip(w, v, strict=True)]
                loss = sum((p - q) ** 2 for p, q in zip(x, hat, strict=True)) / 2
                g = factor(t + excess, t, ops=ops).subs(excess, u - t) if on else factor(t - excess, t, ops=ops)
                yield from ((sympy.diff(-loss, p, a).subs(a, 0), g * q) for p, q in zip(w, x, strict=True))


def _remainder(unknowns, ops):
    """|phi x_hat + <w, x_hat> x|² from |<w, x_hat>| <= |x_hat| <= a S and |<x, x_hat>| <= |x| |x_hat|."""
    phi, norm, hat, along, inner, a, total = unknowns("phi norm hat along inner a total")
    size = ops.abs
    given = [norm >= 0, hat >= 0, a >= 0, total >= 0, hat <= a * total]
    given += [size(along) <= hat, size(inner) <= norm * hat]
    square = phi**2 * hat**2 + 2 * phi * along * inner + along**2 * norm**2
    most = hat * (size(phi) + norm)
    return given, [
        phi * along * inner <= size(phi) * hat * (norm * hat),
        along**2 <= hat**2,
        most**2 - square == norm**2 * (hat**2 - along**2) + 2 * (size(phi) * norm * hat * hat - phi * along * inner),
        most <= theory.coupling_gap(a, size(phi), norm, total),
    ]


def _length(unknowns, ops):
    """|x_hat| <= a S: one more unit latent adds at most a |phi|."""
    hat, total, phi, inner, a, longer = unknowns("hat total phi inner a longer")
    size = ops.abs
    given = [a >= 0, hat >= 0, longer >= 0, hat <= a * total, size(inner) <= hat]
    given += [longer**2 == hat**2 + 2 * a * phi * inner + (a * phi) ** 2]
    return given, [longer <= a * (total + size(phi))]


def _empty(unknowns, ops):
    a = unknowns("a")
    return [a >= 0], [a * 0 >= 0]


CLAIM = Claim(
    id="BA-5",
    statement=(
        "Let L = Σ|x − aΣ_k w_k φ_k|²/2N with unit w_k that fire where u = ⟨w, x⟩ > t. Then |−∇_w L/a − G| ≤ aC, "
        "G = mean g(u)x, C = mean 1[u > t](|φ| + |x|)Σ|φ_k|; g = 2u − t for φ = u − t, and 2u for φ = u without its "
        "jump. The error is linear in a, and below |G|/10 where aC is."
    ),
    tex=r"\|-\frac1a\nabla_wL-\overline{g(u)x}\|\leq a\,\overline{1[u>t](|\varphi|+\|x\|)\sum_k|\varphi_k|}",
    source="ours; the decoupling of Chen et al. (2025), arXiv 2506.14002, section 6, with a constant",
    kind="tight",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(UNIT, SMALL),
    instances=latents(),
    conclusion=_conclusion,
    extremal={"error": latents(aligned=True)},
    controls=(
        Control(UNIT.name, latents(aligned=True, length=2.0), "latents of length 2"),
        Control(SMALL.name, latents(small=False), "a = 1: latents, and a latent with itself, are coupled"),
    ),
    proofs={
        ("error", "carried on to a = 0"): symbolic.identity(
            "∂(−∇_w L)/∂a at a = 0 is g(u)x", "d, m ≤ 2, each on or off; latents and samples add", _derivative
        ),
        "error": (
            smt.induction("|x̂| ≤ aΣ|φ_k|", "all m: induction over latents", _empty, _length),
            smt.implies("|φx̂ + ⟨w, x̂⟩x| ≤ a(|φ| + |x|)Σ|φ_k|", "all d, N: from Cauchy-Schwarz", _remainder),
        ),
    },
    mutants=(
        Mutant("u − t", theory.relu_factor, lambda u, t, *, ops: ops.where(u > t, u - t, 0 * u)),
        Mutant("2(u − t)", theory.relu_factor, lambda u, t, *, ops: ops.where(u > t, 2 * (u - t), 0 * u)),
        Mutant("2u − t", theory.jump_factor, lambda u, t, *, ops: ops.where(u > t, 2 * u - t, 0 * u)),
        Mutant("without |x|", theory.coupling_gap, lambda a, phi, norm, total: a * phi * total),
        Mutant("half", theory.coupling_gap, lambda a, phi, norm, total: a * (phi + norm) * total / 2),
    ),
    note="What the paper drops as a → 0 is kept here as x̂ in the gradient; it is exactly linear in a.",
)
