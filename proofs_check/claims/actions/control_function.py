"""R-4: with the noise in the regression, predictions of an action are right and the same for every affine encoder."""

from dataclasses import replace

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Mutant, Part, Verdict, equal
from proofs_check.claims.actions import design_cases as intervention_designs
from proofs_check.claims.actions.design_cases import AFFINE, CONTROLLED, DEFAULT, INVERTIBLE, Design, designs
from proofs_check.engines import smt, symbolic
from workbench.theory import actions as theory
from workbench.topics.actions import control_function as shipped


def _conclusion(case: Design) -> dict[str, Part]:
    n = len(case.effect)
    plain = replace(case, turn=tuple(tuple(float(i == j) for j in range(n)) for i in range(n)), shift=(0.0,) * n)
    return {
        "E[y | do(a*)]": equal(case.predicted, case.truth, unit=case.size),
        "as with h itself": equal(case.predicted, plain.predicted, unit=case.size),
        "by acting": equal(case.done, case.truth, unit=case.size),
    }


def _formula(symbols, ops):
    """One latent, three noises that occur with each of two actions: W = H M, V = H (nu - mean), f = l o phi^-1 + k."""
    m, turn, shift, q, b, target, k = symbols("M H c q b t k")
    noise, outcomes, actions = symbols("nu:3"), symbols("u:3"), symbols("a:2")
    mean = sum(noise) / 3
    left, w, alpha = [turn * (v - mean) for v in noise], turn * m, turn * mean + shift

    def told(h):
        return theory.mean_outcome([[q]], [b], [h], [[0]])

    def f(code):
        return told((code - shift) / turn) + k

    pairs = [(a, i) for a in actions for i in range(3)]
    yield from ((w * a + alpha + left[i], turn * (m * a + noise[i]) + shift) for a, i in pairs)
    y = sum(told(m * a + noise[i]) + outcomes[i] for a, i in pairs) / 6
    level = sum(f(w * a + alpha + left[i]) for a, i in pairs) / 6
    wanted = sum(told(m * target + v) + u for v, u in zip(noise, outcomes, strict=True)) / 3
    yield sum(f(w * target + alpha + v) for v in left) / 3 - (level - y), wanted
    moments = [sum(v**j for v in noise) / 3 for j in (1, 2)]
    centred = theory.mean_outcome([[q]], [b], [m * target + moments[0]], [[moments[1] - moments[0] ** 2]])
    yield sum(told(m * target + v) for v in noise) / 3, centred


def _open(symbols, ops):
    """n = 2, q = 1, M = (m, 0): f may gain a function of the second latent, which k gives back; it cancels."""
    m, first, second, target, a, c1, c2 = symbols("m v w t a b c")

    def gained(h):
        return theory.mean_outcome([[0, 0], [0, c2]], [0, c1], h, [[0, 0], [0, 0]])

    yield gained([m * a + first, second]), gained([first, second])  # a function of V alone
    yield gained([m * target + first, second]) - gained([m * a + first, second]), 0  # and of no weight in the formula
    free = theory.mean_outcome([[c2]], [c1], [0 * a + first], [[0]])  # n = 1, M = 0
    yield theory.mean_outcome([[c2]], [c1], [0 * target + first], [[0]]) - free, 0


def _acting(symbols, ops):
    """The mean outcome of noises that sum to 0, with their covariance; two latents, three noises."""
    m, q, b, beta, v = symbols("m:2"), symbols("q:3"), symbols("b:2"), symbols("e:2"), symbols("v:4")
    curved = symbols("c")
    form, noises = [[q[0], q[1]], [q[1], q[2]]], [v[:2], v[2:], (-v[0] - v[2], -v[1] - v[3])]
    covariance = [[sum(nu[i] * nu[j] for nu in noises) / 3 for j in range(2)] for i in range(2)]

    def outcome(nu):
        h = [m[0] + nu[0], m[1] + nu[1]]
        told = sum(form[i][j] * h[i] * h[j] for i in range(2) for j in range(2)) + sum(x * y for x, y in zip(b, h))
        return told + sum(x * y for x, y in zip(beta, nu)) + curved * nu[0] ** 2

    said = theory.mean_outcome(form, b, m, covariance) + curved * covariance[0][0]
    yield sum(outcome(nu) for nu in noises) / 3, said


def _unique(unknowns, ops):
    """f(W a + V) + k(V) = 0 on a grid, quadratics: no f but a constant; one latent."""
    w, f1, f2, k0, k1, k2 = unknowns("W f1 f2 k0 k1 k2")

    def total(a, v):
        code = w * a + v
        return f1 * code + f2 * code * code + k0 + k1 * v + k2 * v * v

    return [w != 0, *(total(a, v) == 0 for a in (-1, 0, 1) for v in (-1, 0, 1))], [x == 0 for x in (f1, f2, k0, k1, k2)]


_mean, _predicted = theory.mean_outcome, intervention_designs.predicted


def _without_level(codes, actions, y, target, controlled=True):
    return _predicted(codes, actions, y, target, controlled) - float(y.mean())


SINGULAR = replace(DEFAULT, turn=((1.0, 1.0), (1.0, 1.0)))

CLAIM = Claim(
    id="R-4",
    statement=(
        "y = l(h) + u, l and E[u | ν] quadratic, h = Ma + ν, M of any rank, φ = Hh + c with H invertible: the additive "
        "fit y ~ f(φ) + k(V), V what is left of φ given a, predicts mean f(Wa* + α + V) − (mean f(φ) − mean y) = "
        "E[y | do(a*)] at every a*, the same for all H and c."
    ),
    tex=r"E[y\mid do(a^*)]=\frac{1}{N}\sum_i f(Wa^*+\alpha+V_i)-(\bar f-\bar y)",
    source="Saengkyongam et al. (2024), arXiv 2310.04295, theorem 4; exact form for quadratics ours",
    stated="special case",
    kind="identity",
    promised=Verdict.PROVED,
    hypotheses=(AFFINE, INVERTIBLE, CONTROLLED),
    instances=designs(),
    conclusion=_conclusion,
    controls=(
        Control(AFFINE.name, designs(bent=0.6), "h_1² added to the last latent"),
        Control(INVERTIBLE.name, st.just(SINGULAR), "H of rank 1 forgets a latent"),
        Control(CONTROLLED.name, designs(controlled=False), "y ~ f(φ) alone: R-5"),
    ),
    proofs={
        ("E[y | do(a*)]", "as with h itself"): (
            smt.implies("f is unique up to a constant", "n = q = 1, M ≠ 0, quadratics", _unique),
            symbolic.identity(
                "the formula, from W = HM, V = H(ν − mean ν)", "n = q = 1, three noises, two actions, any u", _formula
            ),
            symbolic.identity("what is left open cancels", "n = q = 1, M = 0; n = 2, q = 1, M = (m, 0)", _open),
        ),
        "by acting": symbolic.identity("mean outcomes", "n = 2, three noises", _acting),
    },
    mutants=(
        Mutant(
            "products left out", shipped.monomials, lambda z, degree: torch.cat([z**k for k in range(1, degree + 1)], 1)
        ),
        Mutant("without mean y", intervention_designs.predicted, _without_level),
        Mutant("without tr(QS)", theory.mean_outcome, lambda Q, q, m, S: _mean(Q, q, m, [[0.0] * len(q)] * len(q))),
    ),
    note=(
        "What f leaves open where M lacks rank cancels: the rank is needed to find φ, not to use it. Beyond one latent, "
        "and M = (m, 0) of two, sampled."
    ),
)
