"""How autoencoders that are affine in the actions are trained."""

from dataclasses import dataclass

from synthetic.base.errors import must


@dataclass(frozen=True)
class AutoencoderConfig:
    """How an `autoencoder.InvariantAutoencoder` is trained."""

    steps: int = 3000
    batch: int = 256
    """the restriction is estimated on a batch"""
    lr: float = 3e-3
    """Adam's step size; falls to 0 along half a cosine"""
    width: int = 32
    """units of each of the two hidden layers"""

    def __post_init__(self) -> None:
        for name in ("steps", "width"):
            must(getattr(self, name) >= 1, f"AutoencoderConfig.{name}", "at least 1", getattr(self, name), "raise it")
        must(self.batch >= 32, "AutoencoderConfig.batch", "at least 32", self.batch, "pairs estimate the restriction")
        must(self.lr > 0, "AutoencoderConfig.lr", "above 0", self.lr, "raise it")
