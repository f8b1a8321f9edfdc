"""Training of other SAE libraries on batches of ours, by their own code with its defaults: a step, or whole runs."""

import importlib
import importlib.util
import io
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr
from typing import Any

import torch
from torch import Tensor

from synthetic.base.errors import must
from workbench import SAE, load

Step = Callable[[Tensor], object]
"""one optimiser step on a batch (n, d)"""


def _saelens(d: int, m: int, k: int, n: int, device: str) -> Step:
    package, training, config = (
        importlib.import_module(name) for name in ("sae_lens", "sae_lens.training.sae_trainer", "sae_lens.config")
    )
    sae = package.TopKTrainingSAE(package.TopKTrainingSAEConfig(d_in=d, d_sae=m, k=k, device=device))
    sizes = {"total_training_samples": 10**9, "train_batch_size_samples": n}
    settings = config.SAETrainerConfig(**sizes, lr_end=3e-4, device=device)
    trainer = training.SAETrainer(cfg=settings, sae=sae, data_provider=iter(()))
    return trainer.step


def _dictionary_learning(d: int, m: int, k: int, n: int, device: str) -> Step:
    module = importlib.import_module("dictionary_learning.trainers.top_k")
    trainer = module.TopKTrainer(10**6, d, m, k, layer=0, lm_name="none", device=device)
    return lambda x: trainer.update(1, x)  # step 0 would look for the geometric median


def _sparsify(d: int, m: int, k: int, n: int, device: str) -> Step:
    if device == "cpu":
        os.environ.setdefault("SPARSIFY_DISABLE_TRITON", "1")  # else its forward fails where triton is installed
    package = importlib.import_module("sparsify")
    sae = package.SparseCoder(d, package.SparseCoderConfig(num_latents=m, k=k), device=device)
    adam = torch.optim.Adam(sae.parameters(), lr=1e-3)
    dead = torch.zeros(m, dtype=torch.bool, device=device)

    def step(x: Tensor) -> None:
        out = sae(x, dead_mask=dead)
        (out.fvu + out.auxk_loss / 32).backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        adam.step()
        adam.zero_grad()
        sae.set_decoder_norm_to_unit_norm()

    return step


RIVALS: dict[str, tuple[str, str, Callable[..., Step]]] = {
    "saelens": ("sae_lens", "sae-lens", _saelens),
    "dictionary_learning": ("dictionary_learning", "dictionary-learning", _dictionary_learning),
    "sparsify": ("sparsify", "eai-sparsify", _sparsify),
}
"""name -> its module, its package, and what makes a TopK training step"""
VERSIONS = {"saelens": "6.54.12"}
"""of libraries that results are compared with"""


def rival_step(name: str, d: int, m: int, k: int, n: int, device: str = "cpu") -> Step:
    """A library's TopK training step: d inputs, m latents, k active, batches of n.

    Raises:
        ValueError: the library is not installed.
    """
    must_be_here(name)
    return RIVALS[name][2](d, m, k, n, device)


def must_be_here(name: str) -> None:
    """Refuse a library that is not installed, saying how to get it."""
    module, package, _ = RIVALS[name]
    here = importlib.util.find_spec(module) is not None
    pinned = f"'{package}=={VERSIONS[name]}'" if name in VERSIONS else package
    must(here, f"rival {name}", "installed", "no such package", f"pip install {pinned}, or leave it out")


def saelens_trained(
    kind: str, settings: Mapping[str, Any], batches: Iterator[Tensor], *, samples: int, lr: float, seed: int
) -> SAE:
    """An SAE that SAELens trained on batches (n, d), read as ours.

    Its trainer's defaults: a constant rate without warm-up, gradient norm 1, AuxK of weight 1 for what is silent for
    1000 steps.

    Args:
        kind: such as "TopK", of `TopKTrainingSAE`.
        settings: of its config, besides d_in.
        batches: what it is trained on, all of one size.
        samples: how many it sees, up to a batch.
        lr: Adam's step size.
        seed: of the initial weights.
    """
    must_be_here("saelens")
    package, training, config = (
        importlib.import_module(name) for name in ("sae_lens", "sae_lens.training.sae_trainer", "sae_lens.config")
    )
    first = next(batches)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        sae = getattr(package, f"{kind}TrainingSAE")(
            getattr(package, f"{kind}TrainingSAEConfig")(d_in=first.shape[1], **settings)
        )
        sizes = {"total_training_samples": samples, "train_batch_size_samples": len(first)}
        how = config.SAETrainerConfig(**sizes, lr=lr, lr_end=lr)
        with redirect_stderr(io.StringIO()):  # its progress bar
            training.SAETrainer(cfg=how, sae=sae, data_provider=itertools.chain([first], batches)).fit()
    with tempfile.TemporaryDirectory() as folder:
        sae.save_inference_model(folder)
        return load(folder)


def saelens_sampler(n_true: int, d: int, rank: int, scale: float) -> Callable[[int], Any]:
    """SAELens's dense sampler of a Zipf world with low-rank correlated firing: n -> activations (n, d)."""
    must_be_here("saelens")
    module: Any = importlib.import_module("sae_lens.synthetic")
    config = module.SyntheticModelConfig(
        num_features=n_true,
        hidden_dim=d,
        firing_probability=module.ZipfianFiringProbabilityConfig(exponent=0.5, max_prob=0.4, min_prob=5e-4),
        hierarchy=module.HierarchyConfig(
            total_root_nodes=128,
            branching_factor=4,
            max_depth=3,
            mutually_exclusive_portion=1.0,
            compensate_probabilities=True,
            scale_children_by_parent=True,
        ),
        orthogonalization=None,
        correlation=module.LowRankCorrelationConfig(rank=rank, correlation_scale=scale),
        seed=0,
    )
    return module.SyntheticModel(config).sample
