"""Autoencoders whose codes are on average affine in the actions: nonlinear mixing undone up to an affine map."""

import itertools
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from synthetic.base.errors import must
from synthetic.base.streams import stream
from workbench.topics.actions import mmr
from workbench.topics.actions.config import AutoencoderConfig
from workbench.topics.actions.mmr import linear_part, median_width

PENALTIES = (0.0, 0.1, 1.0, 10.0, 30.0, 100.0)
"""weights of the restriction that are tried"""


class Mlp(nn.Module):
    """A stack of networks with two hidden layers of leaky ReLU."""

    def __init__(self, sizes: Sequence[int], seeds: Sequence[int], name: str) -> None:
        super().__init__()
        weights = []
        for layer, (wide, out) in enumerate(itertools.pairwise(sizes)):
            drawn = [torch.randn(wide, out, generator=stream(seed, f"autoencoder/{name}", layer)) for seed in seeds]
            weights.append(nn.Parameter(torch.stack(drawn) * (2 / wide) ** 0.5))
        self.weights = nn.ParameterList(weights)
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(len(seeds), 1, out)) for out in sizes[1:]])

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of all members (members, n, out) of shared or own inputs."""
        layers = list(zip(self.weights, self.biases, strict=True))
        for i, (weight, bias) in enumerate(layers):
            x = x @ weight + bias
            x = F.leaky_relu(x, 0.2) if i < len(layers) - 1 else x
        return x


class InvariantAutoencoder(nn.Module):
    """A stack: z = phi(x), x_hat = psi(z); loss = |x - x_hat|^2 / E|x - E x|^2 + penalty MMR(z) / tr Cov(z).

    At MMR = 0, E[z | a] is affine in a; where h is as well, its noise has full support and actions an interior, z is an
    affine function of h, which the reconstruction alone does not give. MMR is divided by tr Cov(z), for else a small z
    evades it. Members differ in seed and penalty, and share batches.

    Source: Saengkyongam et al. (2024), arXiv 2310.04295, as quoted by its reviewers. Differs: relative MMR; penalties
    are trained side by side and chosen afterwards (`chosen`); sizes are ours.
    Fails when: batches are small: MMR of a batch is right on average (`mmr`, `fitted`), and its spread is about
    E|r|^2 / batch. Take 512 or more.
    """

    penalties: Tensor
    centre: Tensor
    size: Tensor

    def __init__(self, d: int, n_latents: int, *, seeds: Sequence[int], penalties: Sequence[float], width: int) -> None:
        super().__init__()
        must(1 <= n_latents <= d, "InvariantAutoencoder.n_latents", f"in [1, d={d}]", n_latents, "lower it")
        must(len(seeds) == len(penalties) >= 1, "InvariantAutoencoder.penalties", f"one for each of {len(seeds)} seeds",
             len(penalties), "repeat seeds for several penalties")  # fmt: skip
        must(min(penalties) >= 0, "InvariantAutoencoder.penalties", "at least 0", list(penalties), "0 is none")
        self.encoder = Mlp((d, width, width, n_latents), seeds, "encoder")
        self.decoder = Mlp((n_latents, width, width, d), seeds, "decoder")
        self.register_buffer("penalties", torch.tensor([float(p) for p in penalties]))
        self.register_buffer("centre", torch.zeros(d))
        self.register_buffer("size", torch.ones(()))

    def encode(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "members n p"]:
        """Codes z of each member."""
        return self.encoder(self.standardised(x))

    def standardised(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """What the networks see of x."""
        return (x.float() - self.centre) / self.size

    @torch.no_grad()
    def error(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " members"]:
        """Share of the variance of x that is not reconstructed."""
        z = self.standardised(x)
        return (self.decoder(self.encoder(z)) - z).square().sum((-1, -2)) / (z - z.mean(0)).square().sum()


def fit_autoencoder(
    x: Float[Tensor, "n d"],
    a: Float[Tensor, "n q"],
    n_latents: int,
    config: AutoencoderConfig,
    *,
    seeds: Sequence[int] = (0,),
    penalties: Sequence[float] = (1.0,),
    on_step: Callable[[int], None] | None = None,
) -> InvariantAutoencoder:
    """Train a stack on a sample; batch t is a function of t alone, so that members and runs share it.

    Args:
        x: activations.
        a: the action behind each.
        n_latents: p.
        config: settings.
        seeds: of the weights, one a member.
        penalties: one a member.
        on_step: called with the number of finished steps.
    """
    x, a = x.float(), a.float()
    must(len(x) == len(a) and bool(x.isfinite().all()), "fit_autoencoder.x", "finite, one row for each action",
         tuple(x.shape), "check the sample")  # fmt: skip
    made = InvariantAutoencoder(x.shape[1], n_latents, seeds=seeds, penalties=penalties, width=config.width)
    made.centre.copy_(x.mean(0))
    made.size.copy_((x - made.centre).square().sum(1).mean().sqrt() / x.shape[1] ** 0.5)
    width = median_width(a)
    z = made.standardised(x)
    adam = torch.optim.Adam(made.parameters(), lr=config.lr)
    half = torch.optim.lr_scheduler.CosineAnnealingLR(adam, config.steps)
    for step in range(config.steps):
        which = torch.randint(len(x), (config.batch,), generator=stream(0, "autoencoder/batch", step))
        codes = made.encoder(z[which])
        error = (made.decoder(codes) - z[which]).square().mean((-1, -2))
        residual = linear_part(codes, a[which])[2]
        spread = codes.var(-2, correction=0).sum(-1)
        restriction = mmr.mmr(residual, a[which], width, unbiased=True, fitted=True)
        loss = error + made.penalties * restriction / spread.clamp_min(1e-12)
        adam.zero_grad(set_to_none=True)
        loss.sum().backward()
        for p in made.parameters():
            if p.grad is not None:  # clipped member by member
                p.grad.div_(p.grad.flatten(1).norm(dim=1).clamp_min(1.0)[:, None, None])
        adam.step()
        half.step()
        if on_step is not None:
            on_step(step + 1)
    return made.eval()


def chosen(errors: Sequence[float], penalties: Sequence[float], slack: float = 0.05) -> int:
    """Place of the largest penalty whose reconstruction error is at most (1 + slack) times that without one.

    An error of 1e-3 of the variance passes in any case.

    Source: ours.
    """
    must(0.0 in penalties, "chosen.penalties", "with a 0 to compare with", list(penalties), "train one without")
    base = errors[list(penalties).index(0.0)]
    good = [i for i, error in enumerate(errors) if error <= max((1 + slack) * base, 1e-3)]
    return max(good, key=lambda i: penalties[i])
