"""Signed axes that occur one at a time, and dictionaries for them: what the claim on latents an axis needs is about."""

import functools
import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from proofs_check.claim import digits
from workbench.ratios import unit_rows
from workbench.theory import signed as theory

_ROUNDS = 20
_FAR = 4.0


@dataclass(frozen=True, eq=False)
class Axes:
    """Samples t v_i, one axis at a time; a dictionary with a bias, one latent at a time."""

    axes: Tensor
    samples: Tensor
    """values t of every axis (n, s)"""
    rows: Tensor
    bias: Tensor
    signed: bool

    def __str__(self) -> str:
        kind = "signed" if self.signed else "nonnegative"
        given = f"axes {digits(self.axes)}, t {digits(self.samples)}"
        return f"{given}, {kind} latents {digits(self.rows)}, b_dec {digits(self.bias)}"

    @property
    def x(self) -> Tensor:
        """All samples (n s, d)."""
        return (self.samples[:, :, None] * self.axes[:, None, :]).flatten(0, 1)

    def _coded(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of the best single latent of each sample: its number, its value on the unit row, what is left."""
        x = self.x - self.bias
        unit = unit_rows(self.rows)
        u = x @ unit.T
        value = u if self.signed else u.clamp_min(0.0)
        left, own = (x[:, None, :] - value[:, :, None] * unit).norm(dim=2).min(1)
        return own, value.gather(1, own[:, None]), left

    @property
    def error(self) -> float:
        """Largest |x - x_hat| over samples with the best single latent each."""
        return float(self._coded()[2].max())

    def fitted(self) -> "Axes":
        """Rows and bias by least squares for the codes, codes for those, and so on: the best seen, if no optimum."""
        best = now = self
        for _ in range(_ROUNDS):
            own, value, _ = now._coded()
            codes = torch.zeros(len(own), len(now.rows) + 1, dtype=torch.float64).scatter(1, own[:, None], value)
            codes[:, -1] = 1.0
            found = torch.linalg.lstsq(codes, now.x, driver="gelsd").solution
            now = replace(now, rows=found[:-1], bias=found[-1])
            best = min(best, now, key=lambda case: case.error)
        return best

    def with_fewer(self) -> Iterator["Axes"]:
        """One latent left out, whichever, the others and the bias fitted anew; also from a bias far out beyond it."""
        for i in range(len(self.rows)):
            keep = [j for j in range(len(self.rows)) if j != i]
            for far in (0.0, _FAR):
                yield replace(self, rows=self.rows[keep], bias=self.bias + far * self.rows[i]).fitted()


def _shared(ends: int, latents: int) -> list[tuple[int, ...]]:
    """Ways to give every end a latent and every latent an end, up to the order of latents.

    A way that leaves a latent unused fits no better than one that uses it for the row of another.
    """
    ways: list[tuple[int, ...]] = [()]
    for _ in range(ends):
        ways = [(*way, j) for way in ways for j in range(min(max(way, default=-1) + 2, latents))]
    return [way for way in ways if len(set(way)) == min(ends, latents)]


def one_less(unknowns, ops, n, signed):
    """Of n independent axes, two sizes of each end on one latent b + R w: not with a latent less than said.

    Axes are unit vectors, by a change of coordinates. That two sizes of an end share a latent is the pigeonhole.
    """
    latents = theory.latents_for_axes(n, signed=signed) - 1
    ends = [(i, sign) for i in range(n) for sign in (1, -1)]
    w = [[unknowns(f"w{j}_{c}") for c in range(n)] for j in range(latents)]
    sizes, codes = ([[unknowns(f"{name}{e}_{c}") for c in range(2)] for e in range(2 * n)] for name in "sf")
    b = [unknowns(f"b{c}") for c in range(n)]
    given = [t > 0 for pair in sizes for t in pair] + [s != t for s, t in sizes]
    given += [] if signed else [f >= 0 for pair in codes for f in pair]
    then = []
    for way in _shared(len(ends), latents):
        off = [
            (sign * t if c == i else 0) != b[c] + f * w[j][c]
            for (i, sign), j, pair, own in zip(ends, way, sizes, codes, strict=True)
            for t, f in zip(pair, own, strict=True)
            for c in range(n)
        ]
        then.append(functools.reduce(operator.or_, off))
    return given, then
