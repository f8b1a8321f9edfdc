"""Dictionaries pushed apart by optimisation, to a requested overlap or for a number of steps."""

import math
from dataclasses import dataclass
from typing import Literal

import torch

from synthetic.base.errors import must
from synthetic.base.progress import track
from synthetic.base.storage import knob
from synthetic.laws.directions import Rows, gaussian, overlaps, unit, welch_bound


@knob
@dataclass(frozen=True)
class Orthogonalised:
    """Random directions after Adam steps on sum_{i != j} <v_i, v_j>^2 + n sum_i (|v_i|^2 - 1)^2, then unit rows.

    The gradient is taken in closed form, 4 V (V^T V) + 4 (n (|v|^2 - 1) - |v|^2) V: n d^2 work, not n^2 d.

    Source: SAELens synthetic, `orthogonalize_embeddings`; SynthSAEBench uses 100 steps at 3e-4.
    """

    steps: int = 100
    lr: float = 3e-4

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`; float32 inside, as there."""
        rows = unit(torch.randn(n, d, generator=rng)).requires_grad_()
        adam = torch.optim.Adam([rows], lr=self.lr)
        for _ in track(range(self.steps), "orthogonalising directions"):
            with torch.no_grad():
                v = rows.detach()
                square = v.square().sum(1, keepdim=True)
                rows.grad = 4 * (v @ (v.T @ v)) + 4 * (n * (square - 1) - square) * v
            adam.step()
        return unit(rows.detach().double())


@knob
@dataclass(frozen=True)
class LowCoherence:
    """A dictionary whose realised overlap equals the one asked for, to 0.1 %.

    Random directions are pushed apart by Adam on the overlaps above the target and then blended with the start;
    where random directions are already closer to orthogonal than asked, consecutive pairs are turned together.
    Refused under the Welch bound, and where the optimiser does not get there.

    Source: ours; the bound is Welch (1974).
    """

    overlap: float = 0.3
    """target, in (0, 1)"""
    kind: Literal["max", "mean_max"] = "max"
    """"max": coherence; "mean_max": mean over rows of the largest |cos|, SynthSAEBench's measure"""
    steps: int = 3000

    def __post_init__(self) -> None:
        must(0 < self.overlap < 1, "LowCoherence.overlap", "in (0, 1)", self.overlap, "use Orthonormal for 0")

    def _measure(self, rows: Rows) -> float:
        nearest = overlaps(rows)
        return float(nearest.max() if self.kind == "max" else nearest.mean())

    def draw(self, n: int, d: int, rng: torch.Generator) -> Rows:
        """See `Directions`."""
        must(n >= 2, "LowCoherence", "used with n_true >= 2", n, "use RandomSphere for one feature")
        bound = welch_bound(n, d)
        must(
            self.overlap >= bound,
            "LowCoherence.overlap",
            f"at least the Welch bound {bound:.3f} of {n} features in d={d}",
            self.overlap,
            "raise d or the overlap",
        )
        start = unit(gaussian(n, d, rng))
        if self._measure(start) <= self.overlap:
            return self._turned_together(start)
        return self._blend(start, self._push_apart(start))

    def _turned_together(self, rows: Rows) -> Rows:
        """Turn each row of odd index towards the row before it; for "max" one is enough. A last row left over joins."""
        n = len(rows)
        turned = [1] if self.kind == "max" else [*range(1, n, 2), *([n - 1] if n % 2 else [])]
        towards = rows[[(i - 1) // 2 * 2 for i in turned]]
        found = rows.clone()
        low, high = 0.0, 1.0  # at `low` the measure is at most the target, at `high` it is 1
        for _ in range(50):
            share = (low + high) / 2
            found[turned] = unit((1 - share) * rows[turned] + share * towards)
            low, high = (share, high) if self._measure(found) <= self.overlap else (low, share)
        return found

    def _push_apart(self, start: Rows) -> Rows:
        free = start.clone().requires_grad_()
        adam = torch.optim.Adam([free], lr=0.02)
        aim = 0.97 * self.overlap
        best = math.inf
        for step in range(self.steps):
            rows = unit(free)
            gram = (rows @ rows.T).abs().fill_diagonal_(0)
            best = min(best, self._measure(rows.detach())) if step % 10 == 0 else best
            if best <= self.overlap:
                return rows.detach()
            adam.param_groups[0]["lr"] = 0.02 * (1 - step / self.steps) + 1e-4
            adam.zero_grad()
            (gram - aim).relu().square().sum().backward()
            adam.step()
        must(
            False,
            "LowCoherence.overlap",
            f"one that {self.steps} steps reach ({best:.4f} here, Welch bound {welch_bound(*start.shape):.4f})",
            self.overlap,
            "raise the overlap, d or steps",
        )
        return start

    def _blend(self, start: Rows, apart: Rows) -> Rows:
        low, high = 0.0, 1.0  # share of `apart`; at `high` the measure is at most the target
        for _ in range(30):
            share = (low + high) / 2
            met = self._measure(unit((1 - share) * start + share * apart)) <= self.overlap
            low, high = (low, share) if met else (share, high)
        return unit((1 - high) * start + high * apart)
