"""Write `saelens_metrics.json` and `saelens_folders/` with SAELens itself.

`python tests/golden/make_saelens_golden.py`. Needs `pip install sae-lens==6.54.12`; the tests that
read the files do not. `inputs` is shared with those tests.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

HERE = Path(__file__).parent
METRICS, FOLDERS = HERE / "saelens_metrics.json", HERE / "saelens_folders"
ABOUT = (
    "SAELens's own metrics on the inputs that make_saelens_golden.inputs(case) draws with numpy.random.default_rng; "
    "all tensors are given in float64. `sums` fingerprints the inputs: sum |t| of each."
)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _coefficients(rng: np.random.Generator, n: int, rates: np.ndarray) -> np.ndarray:
    return (rng.random((n, len(rates))) < rates) * rng.uniform(0.5, 1.5, (n, len(rates)))


def _random(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random rows of any norm, latents that know nothing."""
    features, h = _unit(rng.standard_normal((40, 16))), _coefficients(rng, 600, np.full(40, 0.05))
    latents = (rng.random((600, 24)) < 0.2) * rng.exponential(0.1, (600, 24))
    return {"features": features, "h": h, "decoder": rng.standard_normal((24, 16)), "latents": latents}


def _trained(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Noisy features in another order, latents shrunk, with misses and false alarms; more samples than one chunk."""
    features, h = _unit(rng.standard_normal((30, 16))), _coefficients(rng, 5000, np.geomspace(0.3, 0.003, 30))
    order = rng.permutation(30)
    heard = h[:, order] * (rng.random(h.shape) < 0.9) + (rng.random(h.shape) < 0.02) * 0.2
    decoder = features[order] + 0.1 * rng.standard_normal((30, 16))
    return {"features": features, "h": h, "decoder": decoder, "latents": 0.8 * heard}


def _copies(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Twenty copies of one detector, a few others, latents that never fire, one of them with a zero row."""
    features, h = _unit(rng.standard_normal((16, 16))), _coefficients(rng, 800, np.full(16, 0.1))
    which = np.array([0] * 20 + [1, 2, 3] + [4, 5, 6, 7])
    latents, decoder = h[:, which].copy(), features[which].copy()
    latents[:, :20] /= 20
    latents[:, -4:] = 0.0
    decoder[-1] = 0.0
    return {"features": features, "h": h, "decoder": decoder, "latents": latents}


def _signed(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Latents of both signs on rows of both signs, and samples where x is 0."""
    features, h = _unit(rng.standard_normal((12, 8))), _coefficients(rng, 500, np.full(12, 0.15))
    sign = np.where(np.arange(12) % 2 == 0, 1.0, -1.0)
    latents = h * sign * (rng.random(h.shape) < 0.8)
    return {"features": features, "h": h, "decoder": features * sign[:, None], "latents": latents}


def _two_signs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Features that fire with either sign, some more often with one; latents that follow both signs, or one alone."""
    features, h = _unit(rng.standard_normal((14, 10))), _coefficients(rng, 600, np.full(14, 0.12))
    h *= np.where(rng.random(h.shape) < np.linspace(0.2, 0.8, 14), 1.0, -1.0)
    latents = h * (rng.random(h.shape) < 0.85)
    latents[:, ::3] = np.maximum(latents[:, ::3], 0.0)
    return {"features": features, "h": h, "decoder": features.copy(), "latents": latents}


# a name's place in the alphabet seeds its numbers
CASES = {"random": _random, "trained": _trained, "copies": _copies, "signed": _signed, "two_signs": _two_signs}


def inputs(case: str) -> dict[str, Tensor]:
    """Features (n_true, d), h (n, n_true), x (n, d), decoder (m, d), b_dec (d), latents (n, m): float32."""
    rng = np.random.default_rng([65412, sorted(CASES).index(case)])
    drawn = CASES[case](rng)
    x = drawn["h"] @ drawn["features"]
    if case in ("random", "trained"):
        x = x + 0.3 + 0.05 * rng.standard_normal(x.shape)
    drawn |= {"x": x, "b_dec": np.full(x.shape[1], 0.3 if case == "trained" else 0.0)}
    return {name: torch.from_numpy(np.ascontiguousarray(v)).float() for name, v in drawn.items()}


def sums(tensors: dict[str, Tensor]) -> dict[str, float]:
    """Fingerprint of the inputs."""
    return {name: float(v.double().abs().sum()) for name, v in sorted(tensors.items())}


def measure(tensors: dict[str, Tensor]) -> dict[str, float]:
    """SAELens's numbers, under our names."""
    from sae_lens.evals import ExplainedVarianceCalculator
    from sae_lens.synthetic import evals

    t = {name: v.double() for name, v in tensors.items()}
    x_hat = t["latents"] @ t["decoder"] + t["b_dec"]
    found = evals.compute_classification_metrics(t["latents"], t["h"], t["decoder"], t["features"])
    shrinkage, explained = evals.ShrinkageCalculator(), ExplainedVarianceCalculator()
    dead, l0, true_l0 = evals.DeadLatentsCalculator(len(t["decoder"])), evals.L0Calculator(), evals.L0Calculator()
    shrinkage.add_batch(x_hat, t["x"])
    explained.add_batch(x_hat, t["x"])
    dead.add_batch(t["latents"])
    l0.add_batch(t["latents"])
    true_l0.add_batch(t["h"])
    return {
        "saelens_mcc": evals.mean_correlation_coefficient(t["decoder"], t["features"]),
        "saelens_uniqueness": evals.feature_uniqueness(t["decoder"], t["features"]),
        "saelens_precision": found.precision,
        "saelens_recall": found.recall,
        "saelens_f1": found.f1_score,
        "saelens_accuracy": found.accuracy,
        "saelens_shrinkage": shrinkage.compute(),
        "saelens_explained_variance": explained.compute(),
        "saelens_dead_latents": float(dead.compute()),
        "l0": l0.compute(),
        "true_l0": true_l0.compute(),
    }


_NESTED = {"k": 2.5, "matryoshka_widths": [3, 10]}
_SCALED = {"normalize_activations": "expected_average_only_in"}
_WHITENED = {"normalize_activations": "covariance_whitening"}
_RAW = {"apply_b_dec_to_input": False}
# name -> (SAELens class, its config's settings); training classes are saved for inference unless the name says training
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "batchtopk": ("BatchTopKTrainingSAE", {"k": 2.5, "rescale_acts_by_decoder_norm": False}),
    "batchtopk_rescaled": ("BatchTopKTrainingSAE", {"k": 2.5}),
    "gated": ("GatedSAE", {}),
    "gated_raw_input": ("GatedSAE", _RAW),
    "jumprelu": ("JumpReLUSAE", {}),
    "standard": ("StandardSAE", {}),
    "standard_raw_input": ("StandardSAE", _RAW),
    "topk": ("TopKSAE", {"k": 3}),
    "topk_rescaled": ("TopKSAE", {"k": 3, "rescale_acts_by_decoder_norm": True}),
    # a name's place seeds its numbers
    "abstopk": ("AbsTopKSAE", {"k": 3}),
    "abstopk_rescaled": ("AbsTopKSAE", {"k": 3, "rescale_acts_by_decoder_norm": True}),
    "abstopk_training": ("AbsTopKTrainingSAE", {"k": 3, **_RAW}),
    "batchtopk_training": ("BatchTopKTrainingSAE", {"k": 2.5, "rescale_acts_by_decoder_norm": False}),
    "batchtopk_training_rescaled": ("BatchTopKTrainingSAE", {"k": 2.5, "topk_threshold_lr": 0.02, **_RAW}),
    "batchtopk_training_scaled": ("BatchTopKTrainingSAE", {"k": 2.5, **_SCALED}),
    "batchtopk_training_whitened": ("BatchTopKTrainingSAE", {"k": 2.5, **_WHITENED}),
    "gated_training_scaled": ("GatedTrainingSAE", {**_SCALED, **_RAW}),
    "gated_training_whitened": ("GatedTrainingSAE", {**_WHITENED, **_RAW}),
    "jumprelu_training_scaled": ("JumpReLUTrainingSAE", _SCALED),
    "matching_pursuit": ("MatchingPursuitSAE", {"residual_threshold": 1.5, "stop_on_duplicate_support": False}),
    "matching_pursuit_once": ("MatchingPursuitSAE", {"residual_threshold": 0.0, "max_iterations": 4}),
    "matching_pursuit_raw_input": ("MatchingPursuitSAE", {"max_iterations": 3, **_RAW}),
    "matching_pursuit_training_scaled": ("MatchingPursuitTrainingSAE", {"residual_threshold": 1.0, **_SCALED}),
    "matryoshka_batchtopk": ("MatryoshkaBatchTopKTrainingSAE", _NESTED),
    "matryoshka_batchtopk_training": ("MatryoshkaBatchTopKTrainingSAE", _NESTED),
    "standard_bfloat16": ("StandardSAE", {"dtype": "bfloat16"}),
    "standard_hook_z": ("StandardSAE", {"reshape_activations": "hook_z"}),
    "standard_old": ("StandardSAE", {"reshape_activations": "hook_z"}),
    "topk_old": ("TopKSAE", {"k": 3}),
    "topk_training_scaled": ("TopKTrainingSAE", {"k": 3, **_SCALED}),
}
SCALE = 0.6
"""factor of inputs in folders whose name ends in scaled"""
_OLD = {
    "standard": {"hook_point": "blocks.1.attn.hook_z", "normalize_activations": False},
    "topk": {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}, "hook_name": "blocks.1.hook_resid_pre"},
}
"""what SAELens 5 and older wrote, beside sizes; the first has no architecture"""


def _draw(sae: Any, rng: np.random.Generator) -> None:
    for key, parameter in sorted(sae.named_parameters()):
        drawn = torch.from_numpy(rng.standard_normal(parameter.shape)).float()
        spread = 0.3 if "MatchingPursuit" in type(sae).__name__ else 0.5  # steps with longer rows would not converge
        parameter.copy_(0.5 + 0.2 * drawn.abs() if key == "threshold" else spread * drawn)
    if hasattr(sae, "topk_threshold"):
        sae.topk_threshold.fill_(0.45)


def _whitening(rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, matrix and its inverse, in float64."""
    matrix = np.eye(6) + 0.3 * rng.standard_normal((6, 6))
    return tuple(torch.from_numpy(v) for v in (0.5 * rng.standard_normal(6), matrix, np.linalg.inv(matrix)))


def write_folder(name: str) -> None:
    """A folder saved by SAELens, with `expected.safetensors`: x and SAELens's latents and x_hat after loading it.

    Where training was not over, they are those of the SAE that SAELens would save for inference in the end.
    """
    import sae_lens
    from sae_lens.training.activation_scaler import ActivationScaler, ActivationWhitening
    from safetensors.torch import save_file

    kind, settings = ARCHITECTURES[name]
    rng = np.random.default_rng([65412, 100 + list(ARCHITECTURES).index(name)])
    sae = getattr(sae_lens, kind)(getattr(sae_lens, f"{kind}Config")(d_in=6, d_sae=10, **settings))
    folder, final = FOLDERS / name, FOLDERS / name
    with torch.no_grad(), TemporaryDirectory() as elsewhere:
        _draw(sae, rng)
        x = torch.from_numpy(rng.standard_normal((40, 6))).float()
        if "training" in name:
            sae.save_model(folder)
            final = Path(elsewhere)
            scaler = ActivationScaler()
            if name.endswith("scaled") and "rescaled" not in name:
                scaler = ActivationScaler(scaling_factor=SCALE)
                sae.fold_activation_norm_scaling_factor(SCALE)
            if name.endswith("whitened"):
                mean, matrix, inverse = _whitening(rng)
                scaler = ActivationScaler(whitening=ActivationWhitening(mean, matrix, inverse))
                sae.fold_activation_whitening(mean, matrix, inverse)
            scaler.save(str(folder / "activation_scaler.json"))
        (sae.save_inference_model if hasattr(sae, "save_inference_model") else sae.save_model)(final)
        if name.endswith("old"):
            config = {"d_in": 6, "d_sae": 10, "dtype": "torch.float32", "model_name": "gpt2-small"}
            (folder / "cfg.json").write_text(json.dumps(config | _OLD[name.split("_")[0]]))
        loaded = sae_lens.SAE.load_from_disk(final, dtype="float32")
        heads = loaded.cfg.reshape_activations == "hook_z"
        latents = loaded.encode(x.view(40, 2, 3) if heads else x)
        expected = {"x": x, "latents": latents, "x_hat": loaded.decode(latents).flatten(1)}
        save_file({key: value.contiguous() for key, value in expected.items()}, folder / "expected.safetensors")


def main() -> None:
    """Write everything."""
    import sae_lens

    cases = {case: {"sums": sums(inputs(case)), "metrics": measure(inputs(case))} for case in CASES}
    content = {"about": ABOUT, "sae_lens": sae_lens.__version__, "cases": cases}
    METRICS.write_text(json.dumps(content, indent=1) + "\n")
    for name in ARCHITECTURES:
        write_folder(name)


if __name__ == "__main__":
    main()
