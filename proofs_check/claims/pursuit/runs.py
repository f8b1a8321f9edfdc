"""Small trained stacks on the toy tree of concepts that a claim of pursuit measures."""

from dataclasses import dataclass
from typing import Any, ClassVar

from proofs_check.instances.stack import Member, Settings, Stack, training
from workbench.metrics.levels import levels

_STOPS: Settings = (("k", 4), ("tol", 0.126), ("stop_on_repeat", True))
_PLAIN: dict[str, Any] = {"betas": (0.5, 0.9375), "centre": False}


@dataclass(frozen=True)
class Toy(Member):
    """One member of the stacks trained on one toy tree."""

    variant: str = "matching_pursuit"
    rho: float = 0.3
    """inner product of siblings"""
    sd: float = 0.25
    """of the magnitudes, whose mean is 1.5"""
    stops: bool = True
    """pursuit stops where |r| is small or a row comes again, after 4 steps at most; else after 2"""
    steps: int = 500

    rivals: ClassVar[dict[str, Settings]] = {
        "relu": (("l1", 0.3),),
        "batch_topk": (("k", 1.36),),
        "matryoshka": (("k", 1.36),),
    }
    """settings that end near the true mean of 1.36 active features"""

    @property
    def stack(self) -> Stack:
        """The stack it is one of."""
        pursued = (("select", "relu"), *(_STOPS if self.stops else (("k", 2),)))
        return Stack(
            world="concept_tree",
            knobs=(("rho", self.rho), ("sd", self.sd)),
            variant=self.variant,
            m=20,
            settings=self.rivals.get(self.variant, pursued),
            train=training(self.steps, 200, 3e-2, **_PLAIN),
            seeds=self.seeds,
            draw=self.draw,
        )

    @property
    def errors(self) -> tuple[float, float]:
        """flat_mse and hier_mse."""
        values = levels(self.evidence)
        return float(values["flat_mse"]), float(values["hier_mse"])
