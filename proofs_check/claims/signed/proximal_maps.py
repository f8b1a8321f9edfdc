"""AT-1: each activation in use minimises |z - u|²/2 plus a regulariser of its own."""

from itertools import combinations

import torch
from hypothesis import strategies as st

from proofs_check.claim import Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, equal
from proofs_check.claims.signed.cases import AS_IS, Activation, activations, minimises
from proofs_check.claims.signed.proximal_cases import PROXIMAL
from proofs_check.engines import smt
from workbench.theory import signed as theory


def _l1(z, lam, ops):
    return lam * ops.abs(z)


def _l0(z, lam, ops):
    return lam * ops.where(z == 0, ops.num("0"), ops.num("1"))


SCALAR = {
    "l1": ("soft_threshold", lambda z, lam: lam * abs(z), True),
    "nonnegative_l1": ("shifted_relu", lambda z, lam: lam * abs(z), False),
    "l0": ("hard_threshold", lambda z, lam: lam * (z != 0), True),
    "nonnegative_l0": ("jump", lambda z, lam: lam * (z != 0), False),
}
COUNT = {"count": ("abs_top_k", True), "nonnegative_count": ("top_k", False)}
"""row of PROXIMAL -> name of the closed form, (penalty,) whether both signs are allowed"""


def _tensor(values):
    return torch.tensor([list(values)], dtype=torch.float64)


def _conclusion(case: Activation) -> dict[str, Part]:
    told: dict[str, Part] = {}
    for name, (formula, penalty, signed) in SCALAR.items():
        if case.lam < 0 and name.endswith("l0"):  # the cut is a root of it
            continue
        value = [getattr(theory, formula)(v, case.lam) for v in case.seen]
        told[f"{name}: minimal"] = _minimal(case, value, penalty, signed)
        if case.lam > 0:
            shipped = PROXIMAL[name].prox(_tensor(case.seen), case.lam)
            told[f"{name}: shipped"] = equal(shipped[0], value)
    for name, (formula, signed) in COUNT.items():
        value, u = getattr(theory, formula)(case.seen, case.k), case.u if signed else [max(v, 0) for v in case.u]
        kept = max(sum(u[i] ** 2 for i in s) for s in combinations(range(len(u)), case.k))
        best = case.square if any(case.u) else 0.0
        told[f"{name}: best of all supports"] = equal(theory.gap_square(case.u, value), best - kept, unit=case.square)
        shipped = PROXIMAL[name].prox(_tensor(case.seen), case.k)[0].tolist()
        gap = theory.gap_square(case.u, shipped)
        told[f"{name}: shipped"] = equal(gap, theory.gap_square(case.u, value), unit=case.square)
    return told


def _minimal(case, value, penalty, signed):
    """No z among the drawn one, 0, u and what lies lam or half of it to either side does better, one by one."""
    found = [theory.proximal_objective(u, p, penalty(p, case.lam)) for u, p in zip(case.u, value, strict=True)]
    best = []
    for u, z in zip(case.u, case.z, strict=True):
        beside = [u + share * case.lam for share in (-1.0, -0.5, 0.5, 1.0)]
        others = [v for v in (z, 0.0, u, *beside) if signed or v >= 0]
        best.append(min(theory.proximal_objective(u, v, penalty(v, case.lam)) for v in others))
    return at_most(found, best, unit=1 + case.square)


def _count(unknowns, ops, m, support, signed):
    """No z on these entries is nearer; where z >= 0, for u in falling order, to save time."""
    u, none, one = [unknowns(f"u{i}") for i in range(m)], ops.num("0"), ops.num("1")
    z = [unknowns(f"z{i}") if i in support else none for i in range(m)]
    best = (theory.abs_top_k if signed else theory.top_k)(u, len(support), ops=ops)
    used = sum(ops.where(v == 0, none, one) for v in best)
    given = [] if signed else [u[i] >= u[i + 1] for i in range(m - 1)] + [z[i] >= 0 for i in support]
    return given, [used <= len(support), theory.gap_square(u, best) <= theory.gap_square(u, z)]


def _entrywise(name, formula, signed):
    penalty = _l1 if name.endswith("l1") else _l0

    def late(u, lam, *, ops):  # through the module, so that a mutant is seen
        return getattr(theory, formula)(u, lam, ops=ops)

    given = {"penalty": penalty, "objective": theory.proximal_objective, "signed": signed}
    shows, scope = f"{formula} minimises {name}", "all u, z and λ ≥ 0: entry by entry"
    return smt.implies(shows, scope, minimises, formula=late, **given)


def _counts(signed):
    name = "abs_top_k" if signed else "top_k"
    for m, k in ((2, 1), (3, 1), (3, 2)):
        for support in combinations(range(m), k):
            shows = f"{name} is no farther from u than any z on entries {support}"
            scope = f"m = {m}, k = {k}{'' if signed else ', u falling'}"
            yield smt.implies(shows, scope, _count, m=m, support=support, signed=signed)


NEAREST = tuple(_counts(True))
"""AbsTopK is the nearest point of few nonzeros"""
POSITIVE = Hypothesis("λ ≥ 0", lambda case: max(0.0, -case.lam))

CLAIM = Claim(
    id="AT-1",
    statement=(
        "Six activations minimise |z − u|²/2 + R(z): soft threshold for λ|z|₁, ReLU shifted by λ with z ≥ 0, the "
        "two-sided jump at √(2λ) for λ|z|₀, JumpReLU at √(2λ) with z ≥ 0, AbsTopK under |z|₀ ≤ k, TopK with z ≥ 0."
    ),
    tex=r"\mathrm{prox}_R(u)=\mathrm{arg}\,\min_z\tfrac12\|z-u\|^2+R(z)",
    source="Zhu, Khalili, Zhu (2025), arXiv 2510.00404, lemma 1; classical",
    stated="equivalent",
    kind="bound",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(AS_IS, POSITIVE),
    instances=activations(),
    conclusion=_conclusion,
    controls=(
        Control(AS_IS.name, activations(rectified=True), "ReLU first, then the largest magnitudes: TopK's map"),
        Control(POSITIVE.name, activations(weight=st.just(-1.0)), "λ = −1"),
    ),
    proofs={
        **{f"{name}: minimal": _entrywise(name, formula, signed) for name, (formula, _, signed) in SCALAR.items()},
        "count: best of all supports": tuple(_counts(True)),
        "nonnegative_count: best of all supports": tuple(_counts(False)),
    },
    kernel={
        "l1: minimal": "selection.soft_threshold_nearest",
        "nonnegative_l1: minimal": "selection.shifted_relu_nearest",
        "count: best of all supports": ("selection.abs_top_k_sparse", "selection.abs_top_k_nearest"),
        "nonnegative_count: best of all supports": ("selection.abs_top_k_sparse", "selection.top_k_nearest"),
    },
    mutants=(
        Mutant("without ½", theory.proximal_objective, lambda u, z, penalty: (z - u) ** 2 + penalty),
        Mutant("shift without sign", theory.soft_threshold, lambda u, lam, *, ops=None: max(u - lam, 0)),
        Mutant("no shift", theory.shifted_relu, lambda u, lam, *, ops=None: max(u, 0)),
        Mutant("cut at λ", theory.l0_cut, lambda lam, *, ops=None: lam),
        Mutant("one-sided", theory.hard_threshold, lambda u, lam, *, ops=None: theory.jump(u, lam)),
        Mutant("two-sided", theory.jump, lambda u, lam, *, ops=None: theory.hard_threshold(u, lam)),
        Mutant("the largest values", theory.abs_top_k, lambda u, k, *, ops=None: _largest(u, k)),
        Mutant("the largest magnitudes", theory.top_k, lambda u, k, *, ops=None: theory.abs_top_k(u, k)),
        Mutant("largest error", theory.gap_square, lambda u, z: max((a - b) ** 2 for a, b in zip(u, z, strict=True))),
    ),
    note="At |u| = √(2λ) and among equal sizes there are several minimisers. A step of length s turns λ to sλ.",
)


def _largest(u, k):
    kept = sorted(range(len(u)), key=lambda i: -u[i])[:k]
    return [v if i in kept else 0.0 for i, v in enumerate(u)]
