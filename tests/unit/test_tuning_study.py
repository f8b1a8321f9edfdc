"""Parts of the study of tuning: its search, its choice, its contrasts, its tables."""

import importlib.util
import itertools
import math
import re

import numpy as np
import polars as pl
import pytest
import torch

from experiments import rivals
from experiments.tuning import factorial, saelens
from experiments.tuning.defaults import missed_table
from experiments.tuning.factorial import FACTORS, configured, effects, written
from experiments.tuning.saelens import Way, chosen, comparison, searched
from experiments.tuning.settings import Tuning
from experiments.tuning.worlds import aims, samples, world
from workbench import TrainConfig, create, evaluate


@pytest.mark.parametrize("power", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("best", [0.03, 1.0, 40.0])
def test_a_weight_is_found_at_which_l0_meets_its_target(power, best):
    tried = []

    def l0_at(weight):
        tried.append(min(200.0, 6.0 * (best / weight) ** power))
        return tried[-1]

    weight = searched(l0_at, 6.0)
    assert l0_at(weight) == tried[-2]
    del tried[-1]
    assert abs(tried[-1] / 6 - 1) <= saelens.CLOSE
    assert len(tried) <= saelens.SEARCH


def test_a_weight_is_found_where_l0_falls_slowly_far_away_and_fast_nearby():
    weights, l0s = (0.35, 0.63, 0.96, 7.6, 16.8), (8.8, 6.13, 5.4, 3.6, 3.0)
    tried = []

    def l0_at(weight):
        tried.append(math.exp(np.interp(math.log(weight), np.log(weights), np.log(l0s))))
        return tried[-1]

    assert searched(l0_at, 6.62, start=16.8) == pytest.approx(0.57, abs=0.04)
    assert len(tried) <= 6


def test_the_best_scores_at_the_same_l0_are_chosen():
    def scores(mcc, f1, l0):
        return {"saelens_mcc": mcc, "saelens_f1": f1, "l0": l0}

    way = [Way(lr, 128) for lr in (1e-3, 3e-3, 1e-2)]
    met = list(zip(way, (scores(0.6, 0.5, 6.0), scores(0.6, 0.6, 6.1), scores(0.9, 0.9, 12.0)), strict=True))
    assert chosen(met, 6.0) == way[1]
    assert chosen(met, None) == way[2]  # of a k
    missed = list(zip(way, (scores(0.6, 0.5, 8.05), scores(0.5, 0.5, 8.0), scores(0.9, 0.9, 12.0)), strict=True))
    assert chosen(missed, 6.0) == way[0]  # the third is twice as far off as the nearest


def combinations():
    names = list(FACTORS)
    return [dict(zip(names, on, strict=True)) for on in itertools.product((0, 1), repeat=len(names))]


def test_contrasts_give_back_what_the_scores_were_made_of():
    rows = []
    for seed, levels in itertools.product(range(3), combinations()):
        both = levels["AuxK"] * levels["annealing"]
        value = 0.5 + 0.2 * levels["AuxK"] - 0.1 * levels["no clip"] + 0.08 * both + 0.01 * seed * levels["W_enc"]
        rows.append({"place": "factorial, trees", "seed": seed, "setting": written(levels), "value": value})
    found = effects(pl.DataFrame(rows).with_columns(metric=pl.lit("saelens_mcc")), "saelens_mcc")
    means = {term: round(one.mean, 9) for term, one in found.items() if abs(one.mean) > 1e-9}
    assert means == {
        ("AuxK",): 0.24,  # alone .2, and .28 beside annealing
        ("annealing",): 0.04,
        ("AuxK", "annealing"): 0.04,
        ("W_enc",): 0.01,
        ("no clip",): -0.1,
    }
    assert found[("W_enc",)].half == pytest.approx(4.302653 * 0.01 / np.sqrt(3), rel=1e-5)  # 0, .01, .02
    assert found[("AuxK",)].half == pytest.approx(0, abs=1e-9)


def test_each_factor_changes_training_by_what_it_says():
    settings = Tuning(samples=1280)
    plain = TrainConfig(steps=10, batch=128, lr=3e-3)
    nothing = dict.fromkeys(FACTORS, 0)
    assert configured(settings, nothing, 7) == plain
    changed = {name: configured(settings, nothing | {name: 1}, 7) for name in FACTORS}
    assert changed["W_enc"] == plain
    assert (changed["AuxK"].aux_k, changed["AuxK"].aux_weight, changed["AuxK"].dead_after) == (32, 1.0, 100)
    assert changed["annealing"].k_start == 21
    assert changed["no clip"].clip is None
    assert not changed["no centre"].centre


def test_the_two_starts_of_a_combination_differ_in_w_enc_alone(monkeypatch):
    started = []
    monkeypatch.setattr(factorial, "train", lambda sae, *rest, **more: started.append(sae))
    unit = factorial.Factorial(settings=Tuning(samples=1280, evaluation_samples=100), seeds=(0,))
    source = world("trees", 0)
    factorial.trained(unit, source, samples(source, 128, 0), dict.fromkeys(FACTORS, 0))
    (sae,) = started
    torch.testing.assert_close(sae.W_enc[1], 0.1 * sae.W_enc[0])
    assert torch.equal(sae.W_dec[0], sae.W_dec[1])


def test_each_variant_aims_at_the_features_that_fire():
    source = world("trees", 3)
    l0 = float(source.truth.expected_l0)
    assert aims("topk", source) == {"k": round(l0)}
    assert aims("batch_topk", source) == {"k": l0}
    assert aims("jumprelu", source) == {"target_l0": l0}
    assert aims("spade", source) == {}


def test_saelens_is_asked_for_by_its_version(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=re.escape("pip install 'sae-lens==6.54.12'")):
        Tuning(parts=("saelens",)).check()
    Tuning().check()


def rendered(tables):
    from rich.console import Console

    console = Console(width=100, record=True, file=None, quiet=False, highlight=False)
    with console.capture() as text:
        for table in tables:
            console.print(table)
    return " ".join(text.get().split())


def test_the_comparison_pairs_seeds():
    rows = []
    for side, values in {"ours": (0.9, 0.5, 0.7), "SAELens": (0.8, 0.4, 0.6)}.items():
        for seed, value in enumerate(values):
            for metric in (*saelens.SCORES, "seconds"):
                at = {"place": "trees", "arm": f"topk, {side}", "setting": f"of {side}", "seed": seed}
                rows.append(at | {"metric": metric, "value": value})
    said = rendered(comparison(pl.DataFrame(rows), Tuning(worlds=("trees",), compared=("topk", "jumprelu"))))
    assert "trees topk .70 .60 +0.100 ± 0.000 .70 .60 +0.100 ± 0.000" in said
    assert "jumprelu" not in said


def test_what_misses_is_marked():
    rows = [
        {"place": f"defaults, {name}", "arm": arm, "world": name, "metric": metric, "value": value}
        for name, arm, metric, value in (
            ("flat", "topk", "dead", 0.04),
            ("flat", "topk", "dead", 0.02),
            ("flat", "topk", "l0_error", 0.031),
            ("trees", "topk", "dead", 0.051),
            ("trees", "topk", "l0_error", 0.0),
            ("noisy", "spade", "dead", 0.05),
        )
    ]
    said = rendered([missed_table(pl.DataFrame(rows), Tuning(variants=("topk", "spade")))])
    assert "topk 4/3.1* 5/0.0* " in said
    assert said.endswith("spade 5/-")


def test_saelens_trains_what_is_read_as_ours():
    pytest.importorskip("sae_lens", reason="trains with SAELens itself: pip install sae-lens")
    source = world("flat", 0)
    x = samples(source, 2560, 0).batch(2560, 0, 0)

    def trained(seed):
        how = {"k": 4, "d_sae": 96}
        return rivals.saelens_trained("TopK", how, iter(x.split(128)), samples=2560, lr=3e-3, seed=seed)

    sae, again, other = trained(0), trained(0), trained(1)
    assert (sae.d, sae.m) == (64, 96)
    assert torch.equal(sae.W_dec, again.W_dec)
    assert not torch.equal(sae.W_dec, other.W_dec)
    fresh = create("topk", 64, 96, k=4)
    before, after = (evaluate(one, source, n=2000, metrics=["fvu", "l0"]) for one in (fresh, sae))
    assert after["l0"] == pytest.approx(4, abs=0.1)
    assert after["fvu"] < before["fvu"]
