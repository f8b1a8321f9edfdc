"""Control functions: the effect of actions beyond those seen, from a representation and a confounded outcome."""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synthetic.base.errors import must
from workbench.ratios import ratio
from workbench.topics.actions.mmr import linear_part


def monomials(z: Float[Tensor, "n p"], degree: int) -> Float[Tensor, "n terms"]:
    """All products of 1 to `degree` columns."""
    columns = [
        z[:, list(which)].prod(1)
        for size in range(1, degree + 1)
        for which in itertools.combinations_with_replacement(range(z.shape[1]), size)
    ]
    return torch.stack(columns, 1)


@dataclass(frozen=True, eq=False)
class ControlFunction:
    """The fit y ~ f(z) + k(v) + const, z a representation and v = z - a W - alpha its part that actions do not explain.

    f and k are polynomials without products between z and v. For z = H h + c, h = M a + nu, f is the outcome's law up
    to a constant and k takes up the confounding; without k (`control=False`) f is biased by it. Then

        E[y | do(a*)] = mean_i f(a* W + alpha + v_i) - (mean f(z) - mean y)

    Source: Newey, Powell, Vella (1999); Saengkyongam et al. (2024), arXiv 2310.04295, as quoted by its reviewers.
    Fails when: z is no affine function of h, or f is asked where no z was seen: see `effective_samples`.
    """

    W: Float[Tensor, "q p"]
    alpha: Float[Tensor, " p"]
    rest: Float[Tensor, "n p"]
    """v"""
    z: Float[Tensor, "n p"]
    degree: int
    f: Float[Tensor, " terms"]
    """coefficients of the monomials of z"""
    k: Float[Tensor, " rest_terms"]
    """of those of v; 0 without control"""
    mean_y: float

    @classmethod
    def fit(
        cls,
        z: Float[Tensor, "n p"],
        a: Float[Tensor, "n q"],
        y: Float[Tensor, " n"],
        *,
        degree: int = 2,
        control: bool = True,
    ) -> "ControlFunction":
        """Least squares, float64."""
        must(degree >= 1, "ControlFunction.degree", "at least 1", degree, "raise it")
        z, a, y = z.double(), a.double(), y.double()
        W, alpha, rest = linear_part(z, a)
        parts = [monomials(z, degree), *([monomials(rest, degree)] if control else [])]
        terms = sum(part.shape[1] for part in parts)
        must(len(z) >= 4 * terms, "ControlFunction.z", f"at least {4 * terms} samples", len(z), "draw more")
        design = torch.cat(parts, 1)
        round_off = 1e-12 * parts[0].square().mean(0).sqrt().repeat(len(parts))
        off, size = design.mean(0), torch.maximum(design.std(0), round_off)
        target = (y - y.mean())[:, None]
        beta = torch.linalg.lstsq(ratio(design - off, size, 0.0), target, driver="gelsd").solution[:, 0]
        beta = ratio(beta, size, 0.0)
        own = parts[0].shape[1]
        return cls(W, alpha, rest, z, degree, beta[:own], beta[own:], float(y.mean()))

    def predict(self, a: Float[Tensor, "k q"]) -> Float[Tensor, " k"]:
        """E[y | do(a)] for each action."""
        base = (monomials(self.z, self.degree) @ self.f).mean()
        found = [(monomials(self.moved(one), self.degree) @ self.f).mean() for one in a.double()]
        return torch.stack(found) - base + self.mean_y

    def predict_given(self, z: Float[Tensor, "m p"], a: Float[Tensor, " q"]) -> Float[Tensor, " m"]:
        """E[y | x, do(a)] of samples with representation z: f(z) + k(z - a W - alpha) + const."""
        const = self.mean_y - (monomials(self.z, self.degree) @ self.f).mean()
        said = monomials(z.double(), self.degree) @ self.f + const
        if len(self.k):
            said = said - (monomials(self.rest, self.degree) @ self.k).mean()
            said = said + monomials(z.double() - a.double() @ self.W - self.alpha, self.degree) @ self.k
        return said

    def moved(self, a: Float[Tensor, " q"]) -> Float[Tensor, "n p"]:
        """The training samples' representations had their action been a."""
        return a @ self.W + self.alpha + self.rest

    def effective_samples(self, a: Float[Tensor, " q"]) -> float:
        """Training samples that speak of do(a): (sum w)^2 / sum w^2, w the density of moved samples over that of seen.

        Both clouds count as Gaussian with their own moments. Far below 1 % of n, f is asked where it was not fitted.

        Source: Kish (1965).
        """
        there = self.moved(a.double())
        ratio = _log_density(self.z, there) - _log_density(self.z, self.z)
        w = (ratio - ratio.max()).exp()
        return float(w.sum() ** 2 / w.square().sum())


def _log_density(z: Float[Tensor, "n p"], cloud: Float[Tensor, "m p"]) -> Float[Tensor, " n"]:
    """log density at z of the Gaussian with the cloud's moments, but for a constant."""
    precision = torch.linalg.pinv(torch.atleast_2d(torch.cov(cloud.T)))
    off = z - cloud.mean(0)
    return -(off @ precision * off).sum(1) / 2
