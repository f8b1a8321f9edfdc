"""AT-4: signs of an AbsTopK dictionary's rows mean nothing, and without biases x_hat is odd in x."""

from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from proofs_check.claim import BESIDE, LOOPS, Claim, Control, Hypothesis, Mutant, Part, Verdict, Void, digits, equal
from proofs_check.engines import smt
from proofs_check.instances.draw import mostly, numbers, usually
from proofs_check.instances.inductions import OVER_ENTRIES, same_rank
from workbench import create
from workbench.theory import signed as theory
from workbench.theory.ops import FLOAT


@dataclass(frozen=True, eq=False)
class Signed:
    """An SAE of m latents on d inputs, x, and a sign for each latent."""

    x: Tensor
    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    k: int
    flips: Tensor
    variant: str = "abs_topk"

    def __str__(self) -> str:
        shown = {"x": self.x, "W_encᵀ": self.W_enc.T, "b_enc": self.b_enc, "W_dec": self.W_dec, "b_dec": self.b_dec}
        said = ", ".join(f"{name} {digits(value)}" for name, value in shown.items())
        return f"{self.variant}: {said}, k = {self.k}, flips {digits(self.flips)}"

    def u(self, x: Tensor, flips: Tensor) -> Tensor:
        """Pre-activations, columns and biases flipped."""
        return (x - self.b_dec) @ (self.W_enc * flips) + self.b_enc * flips

    def kept(self, u: Tensor) -> Tensor:
        """What the activation makes of them, by its formula."""
        activation = theory.abs_top_k if self.variant == "abs_topk" else theory.top_k
        return torch.tensor(activation(u.tolist(), self.k), dtype=torch.float64)

    def x_hat(self, x: Tensor, flips: Tensor) -> Tensor:
        """By the formula of the activation, columns, biases and rows flipped."""
        return self.kept(self.u(x, flips)) @ (self.W_dec * flips[:, None]) + self.b_dec

    def shipped(self) -> Tensor:
        """By the variant on the shelf."""
        sae = create(self.variant, len(self.x), len(self.b_enc), k=self.k).double().eval()
        with torch.no_grad():
            for name in ("W_enc", "b_enc", "W_dec", "b_dec"):
                getattr(sae, name).copy_(getattr(self, name))
            return sae.trace(self.x[None]).x_hat[0]


def _conclusion(case: Signed) -> dict[str, Part]:
    plain = torch.ones_like(case.flips)
    x_hat, unit = case.x_hat(case.x, plain), 1 + case.x.norm() * case.W_enc.norm() * case.W_dec.norm()
    sizes = ((case.x - case.b_dec) @ case.W_enc + case.b_enc).abs().sort().values
    tied = bool((sizes.diff() < 1e-9).any())
    return {
        "flipped": equal(case.x_hat(case.x, case.flips), x_hat, unit=unit),
        "odd": equal(case.x_hat(-case.x, plain), -x_hat, unit=unit),
        "shipped": Void("equal sizes: any may win") if tied else equal(case.shipped(), x_hat, unit=unit),
    }


def _flip(unknowns, ops, m, k):
    """A(s o u) = s o A(u) for every sign vector s: the sizes, and so the choice, stay."""
    u = [unknowns(f"u{i}") for i in range(m)]
    kept, then = theory.abs_top_k(u, k, ops=ops), []
    for code in range(2**m):
        signs = [1 if code >> i & 1 else -1 for i in range(m)]
        turned = theory.abs_top_k([s * v for s, v in zip(signs, u, strict=True)], k, ops=ops)
        then += [a == s * b for a, s, b in zip(turned, signs, kept, strict=True)]
    return [], then


def _signs(unknowns, ops):
    """An entry and any other, each times a sign."""
    t, v, s, r = unknowns("t v s r")
    return [s * s == 1, r * r == 1], (t, v), (s * t, r * v)


def _kept(unknowns, ops):
    """Kept or not, as before: the two ranks are one."""
    v, rank, same, k, s = unknowns("v rank same k s")
    return [s * s == 1, rank == same], [ops.where(same < k, s * v, 0) == s * ops.where(rank < k, v, 0)]


def _input(unknowns, ops):
    """A pre-activation, the flipped one, and that of -x without biases: from its bias, one more input each."""
    u, flipped, turned, plain, x, w, s, b = unknowns("u flipped turned plain x w s b")
    after = {"u": u + x * w, "flipped": flipped + x * (w * s), "turned": turned + (-x) * w, "plain": plain + x * w}
    start = {"u": b, "flipped": b * s}
    return smt.Invariant([flipped == s * u, turned == -plain], after, start, [s * s == 1])


def _latent(unknowns, ops):
    """One more latent of x_hat, of that with flipped codes and rows, and of that with all codes negated."""
    x_hat, flipped, turned, f, w, s = unknowns("x_hat flipped turned f w s")
    after = {"x_hat": x_hat + f * w, "flipped": flipped + (s * f) * (s * w), "turned": turned + (-f) * w}
    return smt.Invariant([flipped == x_hat, turned == -x_hat], after, given=[s * s == 1])


UNBIASED = Hypothesis("biases 0", lambda case: torch.stack((case.b_enc.abs().max(), case.b_dec.abs().max())).max())


def _lost(case: Signed) -> Tensor:
    """How far latents are from the largest sizes with their signs, of x as it is, of -x and of flipped latents."""
    plain = torch.ones_like(case.flips)
    given = [case.u(case.x, plain), case.u(-case.x, plain), case.u(case.x, case.flips)]
    wanted = [torch.tensor(theory.abs_top_k(u.tolist(), case.k), dtype=torch.float64) for u in given]
    return torch.stack([case.kept(u) for u in given]).sub(torch.stack(wanted)).abs().max()


SIGNED = Hypothesis("the largest sizes kept, with their signs", _lost)


@st.composite
def _saes(draw, bias=0.0, variant="abs_topk"):
    m, d = draw(mostly(st.integers(2, 3), st.integers(1, 3))), draw(st.integers(1, 3))

    def array(*shape: int) -> Tensor:
        size = torch.Size(shape).numel()
        entries = draw(st.lists(st.sampled_from((-1, 1)), min_size=size, max_size=size))
        more = draw(st.lists(numbers(0.1, 3), min_size=size, max_size=size))
        return (torch.tensor(entries, dtype=torch.float64) * torch.tensor(more, dtype=torch.float64)).reshape(shape)

    weights = {"W_enc": array(d, m), "b_enc": bias * array(m), "W_dec": array(m, d), "b_dec": bias * array(d)}
    flips = array(m).sign()
    flips[0] = -1.0 if draw(usually()) else flips[0]
    k = draw(st.integers(1, m))
    return Signed(x=array(d), **weights, k=m if bias else k, flips=flips, variant=variant)


CLAIM = Claim(
    id="AT-4",
    statement=(
        "Flipping a latent's column of W_enc, its b_enc and its row of W_dec flips it and leaves AbsTopK's x_hat: 2^m "
        "equal models, so only |cos| compares them. With both biases 0, x_hat(−x) = −x_hat(x). TopK has neither."
    ),
    tex=r"\hat x(W_{enc}S,b_{enc}S,SW_{dec})=\hat x,\quad\hat x(-x)=-\hat x(x)",
    source="ours",
    kind="identity",
    promised=Verdict.PROVED_IN_PART,
    hypotheses=(UNBIASED, SIGNED),
    instances=_saes(),
    nontrivial=lambda case: len(case.flips) > 1 and case.flips.min() < 0,
    conclusion=_conclusion,
    controls=(
        Control(UNBIASED.name, _saes(bias=1.0), "x_hat is odd about b_dec at best; the gauge stays"),
        Control(SIGNED.name, _saes(variant="topk"), "a flipped latent of TopK falls silent"),
    ),
    proofs={
        ("flipped", "odd"): (
            smt.induction("u∘s = s∘u, and u(−x) = −u(x)", "all d: induction over inputs", _input),
            same_rank("signs leave ranks", OVER_ENTRIES, _signs),
            smt.implies("A(s∘u) = s∘A(u), all signs", "all m, k", _kept),
            smt.induction("signs cancel in x_hat", "all m: induction over latents", _latent),
        ),
        LOOPS: tuple(
            smt.implies("A(s∘u) = s∘A(u), all signs", f"m = {m}, k = {k}", _flip, m=m, k=k)
            for m, k in ((2, 1), (3, 1), (3, 2))
        ),
    },
    kernel={BESIDE: ("selection.abs_top_k_signs", "selection.abs_top_k_scaled")},
    mutants=(
        Mutant("rectified", theory.abs_top_k, lambda u, k, *, ops=FLOAT: [ops.larger(v, 0) for v in u]),
        Mutant("the largest value", theory.abs_top_k, lambda u, k, *, ops=None: [v * (v == max(u)) for v in u]),
    ),
    note="Biases 0 are needed for oddness alone. Of equal sizes the first wins, whatever the signs.",
)
