"""Which half of an SAE failed: {learned, true dictionary} x {own encoder, best inference}.

LO learned dictionary, own encoder; LB learned, best inference; TO true dictionary, the variant's encoder trained on it;
TB true, best inference. The Shapley effects of the two halves add up to TB - LO.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from synthetic.base.errors import must
from synthetic.base.streams import seed_of, stream, torch_defaults
from synthetic.source import Codes, World, has_targets
from workbench.metrics.codings import OwnEncoder
from workbench.metrics.detection import scores as detection_scores
from workbench.metrics.evidence import known_world
from workbench.metrics.matching import match
from workbench.parts.inference import nn_lasso, nn_omp, omp, violation
from workbench.ratios import ratio, unit_rows
from workbench.sae import SAE
from workbench.training.ceiling import trained_oracle
from workbench.training.config import TrainConfig
from workbench.variants import variant_shelf

THRESHOLDS = torch.arange(8) / 10
"""codes count as firing above this share of the mean magnitude of a firing feature; each cell has its best one"""
_CHUNK = 1024
Best = Callable[[Tensor, Tensor, Codes], tuple[Tensor, Bool[Tensor, "n m"]]]
"""x without its bias, unit rows, true coefficients -> codes, and the entries that their least squares was over"""
Code = Callable[[Tensor, Codes], Iterator[tuple[Tensor, Tensor, float]]]
"""activations, true coefficients -> of each member codes on unit rows (n, m), x_hat (n, d), worst violation or NaN"""


@dataclass
class Cell:
    """One dictionary under one inference; arrays of the stack's shape."""

    f1: np.ndarray
    """macro-F1 over features, one latent a feature, at the threshold"""
    f1_any: np.ndarray
    """the same where any code above 0 counts as firing: tiny codes on wrong rows cost it most"""
    threshold: np.ndarray
    """chosen on samples of their own, in units of x"""
    correlation: np.ndarray
    """mean Pearson correlation of a feature and its latent's code"""
    explained: np.ndarray
    """1 - fvu"""
    l0: np.ndarray
    """codes other than 0 a sample"""
    violation: np.ndarray
    """largest violation of the optimality of its least squares, over |x|; NaN for encoders"""

    def at(self, index: np.ndarray) -> "Cell":
        """Members by number, in the shape of `index`."""
        return Cell(*(np.asarray(getattr(self, field.name)[index]) for field in fields(self)))


@dataclass
class TwoByTwo:
    """The four cells, and where they apply those of `two_by_two`'s edge cases."""

    mcc: np.ndarray
    """of the learned rows; that of the true ones is 1"""
    k: np.ndarray
    """picks of the best inference"""
    cells: dict[str, Cell]

    @property
    def total(self) -> np.ndarray:
        """F1 lost altogether: TB - LO."""
        return np.asarray(self._f1("TB") - self._f1("LO"))

    def effects(self, best: str = "") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Shapley effects on F1 of the true dictionary and of the best inference, and their interaction.

        ((TB - LB) + (TO - LO)) / 2 and ((TB - TO) + (LB - LO)) / 2 add up to TB - LO. Where TB - TO - LB + LO is large
        no single number is fair to a half: read the cells.

        Args:
            best: which best inference: "" for pursuit at the same k, "K" or "lasso" where they were asked for.
        """
        ending = f"_{best}" if best else ""
        LO, LB, TO, TB = (self._f1(name) for name in ("LO", f"LB{ending}", "TO", f"TB{ending}"))
        dictionary, encoder = np.asarray((TB - LB + TO - LO) / 2), np.asarray((TB - TO + LB - LO) / 2)
        return dictionary, encoder, np.asarray(TB - TO - LB + LO)

    @property
    def dictionary(self) -> np.ndarray:
        """F1 lost by the dictionary, at the same k."""
        return self.effects()[0]

    @property
    def encoder(self) -> np.ndarray:
        """F1 lost by the encoder, at the same k."""
        return self.effects()[1]

    @property
    def interaction(self) -> np.ndarray:
        """Of the two, at the same k."""
        return self.effects()[2]

    @property
    def width(self) -> np.ndarray:
        """F1 that fewer latents than features cost at best: TB - TB_M; 0 where there are enough."""
        return np.asarray(self._f1("TB") - self._f1("TB_M" if "TB_M" in self.cells else "TB"))

    @property
    def verdicts(self) -> list[str]:
        """Of each member the half whose effect is over twice the other's, "both", or "neither" (total below .02)."""
        words = []
        for total, one, other in zip(self.total.flat, self.dictionary.flat, self.encoder.flat, strict=True):
            word = "dictionary" if one > 2 * other else "encoder" if other > 2 * one else "both"
            words.append(word if total >= 0.02 else "neither")
        return words

    def scores(self) -> dict[str, np.ndarray]:
        """Columns for a table: F1 of each cell, the effects, and the certificates of the best ones."""
        columns = {f"f1_{name}": cell.f1 for name, cell in self.cells.items()}
        columns |= {"lost_dictionary": self.dictionary, "lost_encoder": self.encoder, "interaction": self.interaction}
        best = {name: cell for name, cell in self.cells.items() if not np.isnan(cell.violation).all()}
        return columns | {f"violation_{name}": cell.violation for name, cell in best.items()}

    def _f1(self, name: str) -> np.ndarray:
        return self.cells[name].f1

    def __repr__(self) -> str:
        lines = [f"{'':12}{'F1':>8}{'f > 0':>8}{'corr.':>8}{'EV':>8}{'L0':>8}{'violation':>11}"]
        for name, cell in self.cells.items():
            values = (cell.f1, cell.f1_any, cell.correlation, cell.explained, cell.l0)
            worst = "" if np.isnan(cell.violation).all() else f"{np.nanmax(cell.violation):11.1e}"
            lines.append(f"{name:12}" + "".join(f"{np.median(v):8.3f}" for v in values) + worst)
        halves = f"dictionary {np.median(self.dictionary):.3f}, encoder {np.median(self.encoder):.3f}"
        return "\n".join([*lines, f"MCC {np.median(self.mcc):.3f}; of F1 lost: {halves}: {', '.join(self.verdicts)}"])


@torch_defaults()
@torch.no_grad()
def two_by_two(
    sae: SAE,
    world: Any,
    *,
    n: int = 4000,
    seed: int = 1,
    k: int | None = None,
    tol: float = 0.0,
    penalty: float | None = None,
    true_k: bool = False,
    oracle: SAE | None = None,
    config: TrainConfig | None = None,
) -> TwoByTwo:
    """Score the four cells for each member of a stack, all on the same n samples.

    Best inference is nonnegative orthogonal matching pursuit at the variant's own k (its L0 where it has none), plain
    pursuit where a world's coefficients have signs; a lower bound of what is possible, so `penalty` and `true_k` add
    cells under other budgets. Each row has its bias subtracted first. Matching is by |cos|, once a dictionary.

    Edge cases add cells: with fewer latents than features TO_M and TB_M, the m features of largest E h^2 alone; with
    more, LB_matched, the matched rows alone, as best inference may use the others. `penalty` adds LB_lasso, TB_lasso;
    `true_k` adds LB_K, TB_K, which know how many features each sample has.

    Args:
        sae: trained.
        world: with a truth, or its name or folder.
        n: samples scored, and as many others that choose thresholds.
        seed: of both.
        k: picks, in place of the variant's own.
        tol: pursuit stops at |r| <= tol; noise of sd s a coordinate allows s sqrt(d).
        penalty: of the nonnegative lasso, refitted on its support; in units of x.
        true_k: also tell pursuit each sample's number of features.
        oracle: what `trained_oracle` gave for this variant and these settings, where it is at hand.
        config: training of the encoder on the true dictionary, as in `ceiling`.
    """
    world = known_world("two_by_two.world", world, sae)
    must(not has_targets(world), "two_by_two.world", "activations alone", "pairs with targets", "evaluate it")
    must(n >= 2, "two_by_two.n", "at least 2", n, "draw more samples")
    bench = _Bench(world, n, seed_of("two_by_two.seed", seed), sae.W_dec.device)
    pursuit = partial(_pursuit, tol=tol, signed=bench.signed)
    more: dict[str, Best] = {"K": partial(pursuit, k=None)} if true_k else {}
    more |= {} if penalty is None else {"lasso": partial(_lasso, penalty=penalty)}
    cells, picks, mcc = _learned(bench, sae, k, pursuit, more)
    every = torch.arange(world.truth.n_true)
    cells |= _true(bench, sae, every, picks, pursuit, more, oracle or _oracle(sae, world, every, config))
    if sae.m < world.truth.n_true:
        of = bench.strongest(sae.m)
        part = _true(bench, sae, of, picks, pursuit, {}, _oracle(sae, world, of, config))
        cells |= {f"{name}_M": cell for name, cell in part.items()}
    return TwoByTwo(mcc, picks, cells)


def _learned(
    bench: "_Bench", sae: SAE, k: int | None, pursuit: Callable[..., Any], more: dict[str, Best]
) -> tuple[dict[str, Cell], np.ndarray, np.ndarray]:
    """LO, LB and what goes with them; the picks of each member, and the MCC of its rows."""
    coding, truth = OwnEncoder(sae), bench.world.truth
    members = np.arange(_size(sae)).reshape(sae.shape)
    learned = list(zip(unit_rows(coding.rows), coding.bias, strict=True))
    matches = [_Matched.of(rows, truth.features) for rows, _ in learned]
    cells = {"LO": bench.cells(_own_code(coding), matches)}
    picks = _picks(sae, k, cells["LO"].l0)
    infer = [partial(pursuit, k=many) for many in picks]
    cells["LB"] = bench.cells(_best_code(learned, infer), matches)
    if sae.m > truth.n_true:
        alone = [(rows[matched.latent_of], bias) for (rows, bias), matched in zip(learned, matches, strict=True)]
        cells["LB_matched"] = bench.cells(_best_code(alone, infer), [matched.alone() for matched in matches])
    for name, other in more.items():
        cells[f"LB_{name}"] = bench.cells(_best_code(learned, [other] * len(learned)), matches)
    mcc = np.array([matched.mcc for matched in matches]).reshape(sae.shape)
    return {name: cell.at(members) for name, cell in cells.items()}, np.array(picks).reshape(sae.shape), mcc


def _true(
    bench: "_Bench",
    sae: SAE,
    of: Int[Tensor, " m"],
    picks: np.ndarray,
    pursuit: Callable[..., Any],
    more: dict[str, Best],
    oracle: SAE,
) -> dict[str, Cell]:
    """TO, TB and what goes with them, of the features `of`; members that differ in seed alone share them."""
    truth = bench.world.truth
    planted, true = _Matched.planted(of, truth.n_true), (truth.features[of].double(), truth.bias.double())
    cell = bench.cells(_own_code(OwnEncoder(oracle)), [planted] * _size(oracle))
    shared = np.broadcast_to(np.arange(_size(oracle)).reshape(oracle.shape), sae.shape)
    distinct, back = np.unique(picks, return_inverse=True)
    infer = [partial(pursuit, k=int(many)) for many in distinct]
    best = bench.cells(_best_code([true] * len(infer), infer), [planted] * len(infer))
    cells = {"TO": cell.at(shared), "TB": best.at(back.reshape(sae.shape))}
    for name, other in more.items():
        once = bench.cells(_best_code([true], [other]), [planted])
        cells[f"TB_{name}"] = once.at(np.zeros(sae.shape, dtype=int))
    return cells


@dataclass(frozen=True)
class _Matched:
    """Which row stands for each feature, -1 for none, and the sign of their cosine."""

    latent_of: Int[Tensor, " n_true"]
    sign: Float[Tensor, " n_true"]
    mcc: float = 1.0

    @classmethod
    def of(cls, rows: Float[Tensor, "m d"], features: Float[Tensor, "n_true d"]) -> "_Matched":
        """By the assignment that maximises the sum of |cos|."""
        geometry = match(rows, features)
        return cls(geometry.latent_of, geometry.cosine_of.sign(), geometry.mean_matched)

    @classmethod
    def planted(cls, of: Int[Tensor, " m"], n_true: int) -> "_Matched":
        """Of a dictionary whose rows are the features `of`."""
        latent_of = torch.full((n_true,), -1)
        latent_of[of] = torch.arange(len(of))
        return cls(latent_of, (latent_of >= 0).double())

    def alone(self) -> "_Matched":
        """Of a dictionary of the matched rows alone, in the order of the features."""
        return _Matched(torch.arange(len(self.latent_of)), self.sign, self.mcc)


class _Sums:
    """Of one member on one draw, at every threshold."""

    def __init__(self, matched: _Matched) -> None:
        self.matched, n_true = matched, len(matched.latent_of)
        self.fires, self.hits = torch.zeros(2, len(THRESHOLDS), n_true, dtype=torch.float64)
        self.true, self.c, self.c2, self.h, self.h2, self.ch = torch.zeros(6, n_true, dtype=torch.float64)
        self.residual = self.active = 0.0
        self.violation = float("nan")

    def add(self, x: Tensor, h: Tensor, on: Tensor, code: tuple[Tensor, Tensor, float], levels: Tensor) -> None:
        """Count a batch; `h` dense, `on` where it is not 0."""
        f, x_hat, worst = code
        latent, there = self.matched.latent_of.clamp_min(0), (self.matched.latent_of >= 0).double()
        c = f.double().cpu()[:, latent] * self.matched.sign * there
        for i, level in enumerate(levels.tolist()):
            above = c.abs() > level
            self.fires[i] += above.sum(0)
            self.hits[i] += (above & on).sum(0)
        self.true += on.sum(0)
        for name, value in (("c", c), ("c2", c**2), ("h", h), ("h2", h**2), ("ch", c * h)):
            setattr(self, name, getattr(self, name) + value.sum(0))
        self.residual += float((x - x_hat.double()).square().sum())
        self.active += float((f != 0).sum())
        self.violation = float(np.fmax(self.violation, worst))

    def f1(self) -> Float[Tensor, " levels"]:
        """Macro-F1 at each threshold, over features that fired."""
        seen = self.true > 0
        return detection_scores(self.hits, self.fires, self.true.expand_as(self.hits))[2][:, seen].mean(1)

    def correlation(self, n: int) -> float:
        """Mean over features that fired and varied; 0 for those without a row."""
        h_var, c_var = self.h2 - self.h**2 / n, self.c2 - self.c**2 / n
        varies = (self.true > 0) & (h_var > 1e-12 * self.h2)
        r = ratio(self.ch - self.c * self.h / n, (h_var * c_var.clamp_min(0)).clamp_min(0).sqrt(), 0.0)
        return float(r.where(c_var > 1e-12 * self.c2, 0.0)[varies].mean())


class _Bench:
    """Two draws of a world: one chooses thresholds, the other scores."""

    def __init__(self, world: World, n: int, seed: int, device: torch.device) -> None:
        self.world, self.n = world, n
        self.tuning, self.scoring = (
            [
                world.sample(min(_CHUNK, n - start), stream(seed, f"two by two/{what}", step, device))
                for step, start in enumerate(range(0, n, _CHUNK))
            ]
            for what in ("tune", "score")
        )
        values = torch.cat([batch.h.values.double().cpu().flatten() for batch in self.tuning])
        firing = values[values != 0]
        self.signed = bool((values < 0).any())
        self.levels = THRESHOLDS.double() * (float(firing.abs().mean()) if len(firing) else 1.0)
        x = torch.cat([batch.x for batch in self.scoring]).double()
        self.spread = float((x - x.mean(0)).square().sum())

    def strongest(self, m: int) -> Int[Tensor, " m"]:
        """The m features of largest E h^2."""
        energy = torch.stack([batch.h.dense().double().square().sum(0).cpu() for batch in self.tuning]).sum(0)
        return energy.topk(m).indices.sort().values

    def cells(self, code: Code, matches: Sequence[_Matched]) -> Cell:
        """Scores of members, flat."""
        tuned, scored = ([_Sums(matched) for matched in matches] for _ in range(2))
        for sums, draws in ((tuned, self.tuning), (scored, self.scoring)):
            for batch in draws:
                x, h = batch.x.double().cpu(), batch.h.dense().double().cpu()
                on = h != 0
                for member, coded in zip(sums, code(batch.x, batch.h), strict=True):
                    member.add(x, h, on, coded, self.levels)
        best, f1 = [int(member.f1().argmax()) for member in tuned], [member.f1() for member in scored]
        columns = [
            [float(values[i]) for values, i in zip(f1, best, strict=True)],
            [float(values[0]) for values in f1],
            [float(self.levels[i]) for i in best],
            [member.correlation(self.n) for member in scored],
            [1 - ratio(member.residual, self.spread) for member in scored],
            [member.active / self.n for member in scored],
            [member.violation for member in scored],
        ]
        return Cell(*(np.array(column) for column in columns))


def _own_code(coding: OwnEncoder) -> Code:
    """Codes of a stack's own encoder on unit rows."""
    norms = coding.rows.norm(dim=2)

    def code(x: Tensor, h: Codes) -> Iterator[tuple[Tensor, Tensor, float]]:
        training = coding.evaluating(True)
        codes, x_hats = coding.code(x)
        coding.evaluating(not training)
        dense = (codes.dense() if isinstance(codes, Codes) else codes).reshape(len(norms), len(x), -1)
        for f, x_hat, norm in zip(dense, x_hats, norms, strict=True):
            yield f.double().cpu() * norm, x_hat.cpu(), float("nan")

    return code


def _best_code(dictionaries: Sequence[tuple[Tensor, Tensor]], infer: Sequence[Best]) -> Code:
    """Codes of an inference on each dictionary, (rows, bias), with the certificate of its least squares."""

    def code(x: Tensor, h: Codes) -> Iterator[tuple[Tensor, Tensor, float]]:
        for (rows, bias), best in zip(dictionaries, infer, strict=True):
            left = x.double().cpu() - bias
            f, allowed = best(left, rows, h)
            yield f, f @ rows + bias, float(violation(left, rows, f, allowed=allowed).max())

    return code


def _pursuit(
    x: Tensor, rows: Tensor, h: Codes, *, k: int | None, tol: float, signed: bool
) -> tuple[Tensor, Bool[Tensor, "n m"]]:
    """Pursuit with k picks, or as many as the sample has features where k is None."""
    if k is None:
        most = (h.dense() != 0).sum(1).cpu().clamp_min(1)
        f = nn_omp(x, rows, most, tol).dense()
    else:
        k = min(k, len(rows))
        f = (omp(x, rows, k, tol) if signed else nn_omp(x, rows, k, tol)).dense()
    return f, f != 0


def _lasso(x: Tensor, rows: Tensor, h: Codes, *, penalty: float) -> tuple[Tensor, Bool[Tensor, "n m"]]:
    f = nn_lasso(x, rows, penalty)
    return f, f != 0


def _picks(sae: SAE, k: int | None, l0: np.ndarray) -> list[int]:
    """Picks of each member: as asked for, the variant's own k, or its L0."""
    if k is not None:
        must(k >= 1, "two_by_two.k", "at least 1", k, "raise it")
        return [k] * len(l0)
    values = sae.tensor("k").double().flatten().tolist() if "k" in sae.settings else l0.tolist()
    return [min(max(1, round(value)), sae.m) for value in values]


def _oracle(sae: SAE, world: World, of: Int[Tensor, " m"], config: TrainConfig | None) -> SAE:
    """One trained oracle for each combination of settings; members that differ in seed alone share it."""
    default = variant_shelf()[sae.name].defaults
    settings = {name: value for name, value in sae.settings_now().items() if value != default.get(name)}
    if "k" in settings:
        settings["k"] = np.minimum(np.asarray(settings["k"]), len(of)).tolist()
    with torch.enable_grad():
        return trained_oracle(sae.name, world, config, of=of, **settings)


def _size(sae: SAE) -> int:
    return int(np.prod(sae.shape))
