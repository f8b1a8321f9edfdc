"""BA-9: on frozen pre-activations the controller ends with each latent at or below its ceiling, and alive."""

import torch
from hypothesis import strategies as st

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, at_most, edited, equal
from proofs_check.claims.bias import adaptation_cases as adaptations
from proofs_check.claims.bias.adaptation_cases import Frozen
from proofs_check.engines import smt
from proofs_check.instances.draw import mostly, numbers
from workbench.parts import bias_control


def _conclusion(case: Frozen) -> dict[str, Part]:
    times = min(adaptations.falls(float(case.products.max()), case.gap, case.down), 400)
    biases, rates = case.adapted(times + 3)
    after = torch.tensor(biases[1:]) - torch.tensor(biases[:-1])
    return {
        "at most p in time": at_most(rates[times], case.ceiling),
        "alive": at_most(1 / len(case.products), min(rates)),
        "at rest from then on": equal(after[times:].abs().max(), 0.0),
        "monotone": at_most(after, 0.0),
    }


def _row(unknowns, ops):
    """How many rows fire: at least 1 once the largest is seen, where its peak is above 0."""
    fire, seen, row, top, b = unknowns("fire seen row top b")
    one, zero = ops.num("1"), ops.num("0")
    after = {"fire": fire + ops.where(row + b > 0, one, zero), "seen": ops.where(row == top, one, seen)}
    says = [fire >= 0, ops.where(seen == 1, fire, one) >= 1]
    return smt.Invariant(says, after, given=[top + b > 0, row <= top])


def _adaptation(unknowns, ops):
    """One more adaptation: the peak stays above 0, so that a row fires, and b does not rise; 1/B is above the floor."""
    b, q, p, floor, top, gamma, lowest, raised, fire, rows = unknowns("b q p floor top gamma lowest raised fire rows")
    new = adaptations.written_out(b, q, p, floor, gamma * (top + b), raised, lowest, ops)
    given = [top > 0, gamma > 0, gamma < 1, lowest <= -top, rows >= 1, floor * rows <= 1, q * rows == fire, fire >= 1]
    return smt.Invariant([top + b > 0], {"b": new}, given=given, also=[q * rows >= 1, new <= b])


def _fall(unknowns, ops):
    """While q > p and the clamp is away, the peak r = max + b shrinks by 1 - gamma: it stays above 0."""
    b, q, p, floor, top, gamma, lowest, raised = unknowns("b q p floor top gamma lowest raised")
    peak = top + b
    new = adaptations.written_out(b, q, p, floor, gamma * peak, raised, lowest, ops)
    given = [peak > 0, q > p, gamma > 0, gamma < 1, lowest <= -top]
    return given, [top + new == (1 - gamma) * peak, top + new > 0, new < b]


def _still(unknowns, ops):
    """A row fires just where max - row < r; once r <= max - row for all but p B rows, q <= p and nothing moves."""
    b, q, p, floor, fallen, raised, lowest, top, row = unknowns("b q p floor fallen raised lowest top row")
    new = adaptations.written_out(b, q, p, floor, fallen, raised, lowest, ops)
    given = [floor <= q, q <= p, top + b <= top - row]
    return given, [new == b, row + b <= 0]


CLEAR = Hypothesis(
    "clamp away: lowest ≤ −max < 0",
    lambda case: float((case.lowest + case.products.max()).clamp_min(0)) + float(case.products.max() <= 0),
)
ROOM = Hypothesis("p B at least 1, and more than the ties of the largest", lambda case: float(case.gap <= 0))
SHARE = Hypothesis("0 < γ < 1", lambda case: max(0.0, -case.down, case.down - 1) + float(case.down in (0.0, 1.0)))


@st.composite
def _frozen(draw, clamp=False, below=False, still=False):
    rows = draw(st.integers(3, 8))
    value = numbers(-1, 0.9)
    products = torch.tensor([1.0, *draw(st.lists(value, min_size=rows - 1, max_size=rows - 1))], dtype=torch.float64)
    down = draw(st.sampled_from([0.5, 0.1, 0.9]) | numbers(0.05, 0.95))
    if clamp or below or still:
        products[1] = 0.9
    busy = max(1, int((products > 0).sum()) - 1)
    allowed = 1 if clamp or still else draw(mostly(st.integers(1, busy), st.integers(1, rows)))
    ceiling = 0.5 / rows if below else allowed / rows
    lowest = -0.3 if clamp else -draw(st.sampled_from([1.0, 2.0]))
    return Frozen(products * draw(st.sampled_from([1.0, 1.0, 0.5])), ceiling, 0.0 if still else down, lowest)


def _never_lowered(b, rate, ceiling, floor, fallen, raised, lowest):
    return torch.where(rate < floor, (b + raised).clamp_max(0.0), b)


def _set_point(b, rate, ceiling, floor, fallen, raised, lowest):
    return torch.where(rate > ceiling, torch.maximum(b - fallen, lowest), (b + raised).clamp_max(0.0))


def _jumps(b, rate, ceiling, floor, fallen, raised, lowest):
    return torch.where(rate > ceiling, torch.maximum(b - 10 * fallen, lowest), b)


CLAIM = Claim(
    id="BA-9",
    statement=(
        "With W frozen, b = 0 at first, −lowest ≥ max y > 0 and p no less than the share of rows that tie for it: each "
        "fall leaves (1 − γ) of the peak, so after at most ⌈log(gap/max)/log(1 − γ)⌉ falls 1/B ≤ q ≤ p, and nothing "
        "moves again. gap is max less the largest product that must not fire, or max itself."
    ),
    tex=r"1/B\leq q_t\leq p\quad\text{for}\quad t\geq\log(\text{gap}/\max y)\,/\,\log(1-\gamma)",
    source="ours, of algorithm 2 of Chen et al. (2025), arXiv 2506.14002",
    kind="bound",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(CLEAR, ROOM, SHARE),
    instances=_frozen(),
    nontrivial=lambda case: (case.products > 0).sum() > case.allowed,
    conclusion=_conclusion,
    controls=(
        Control(CLEAR.name, _frozen(clamp=True), "two rows fire at the lowest bias, one may"),
        Control(ROOM.name, _frozen(below=True), "p B < 1: b creeps to −max, q = 1/B > p for ever"),
        Control(SHARE.name, _frozen(still=True), "γ = 0"),
    ),
    proofs={
        ("alive", "monotone"): (
            smt.induction("a row fires where the peak is above 0", "all B: induction over rows", _row),
            smt.induction(
                "the peak stays above 0, and b does not rise",
                "all B ≤ 1/floor, t: induction over adaptations",
                _adaptation,
            ),
        ),
        BESIDE: (
            smt.implies("a fall leaves (1 − γ) of the peak", "all reals, written out", _fall),
            smt.implies("at q ≤ p the bias rests, and rows at max − r or lower do not fire", "all reals", _still),
        ),
        LOOPS: adaptations.WRITTEN_OUT,
    },
    mutants=(
        Mutant("never lowered", bias_control.adapted, _never_lowered),
        Mutant("set-point", bias_control.adapted, _set_point),
        Mutant("ten times the fall", bias_control.adapted, _jumps),
        edited("half the falls", adaptations.falls, lambda f: lambda largest, gap, down: f(largest, gap, down) // 2),
    ),
    note=(
        "From (1 − γ)^t max ≤ gap the count of falls is a logarithm, left to sampling; so is that a rate at most p in "
        "time rests there. On fresh rows q is noisy: p B ≫ 1 is needed, else live latents are raised."
    ),
)
