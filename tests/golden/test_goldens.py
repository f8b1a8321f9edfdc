"""A sample of the goldens is what is computed today, here or on any other processor; and how two are compared."""

import math
import subprocess
import sys

import goldens
import polars as pl
import pytest
import torch

from experiments import MODULES

SAMPLE = {
    "variants": ("topk", "jumprelu"),
    "worlds": ("toy", "circles", "structured.concept_dag", "interacting.triples", "bias.planted", "neurons.offset"),
    "folders": ("sae", "sae polysae", "stack", "world", "checkpoint", "run"),
    "experiments": ("top_afa_rule",),
}


@pytest.mark.parametrize(("kind", "item"), [(kind, item) for kind, items in SAMPLE.items() for item in items])
def test_nothing_has_changed(kind, item):
    assert not goldens.compare(kind, item)


def test_no_claim_of_a_sample_has_changed():
    """In a process of its own: what Hypothesis draws may depend on the modules that are loaded."""
    command = [sys.executable, "-m", "tests.golden.goldens", "check", "claims", "--only", "AFA-4", "SN-2"]
    done = subprocess.run(command, cwd=goldens.ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_named_has_a_golden():
    kept = {kind: [item for _, item in goldens.chosen([kind], [])] for kind in goldens.KINDS}
    assert set(kept["experiments"]) == set(MODULES)
    missing = [(kind, item) for kind in kept for item in kept[kind] if not goldens.path_of(kind, item).exists()]
    assert not missing
    assert sum(path.stat().st_size for path in goldens.DATA.rglob("*.json")) < 3e6


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(goldens, "DATA", tmp_path)
    x = torch.linspace(-1, 2, 100)
    fields = {"x": goldens.described(x), "n": 3, "said": ["MCC 0.123 of 4"], "on": [True], "empty": None}
    goldens.keep("worlds", {"toy": fields})
    return x, fields


@pytest.fixture
def elsewhere(kept, monkeypatch):
    monkeypatch.setattr(goldens, "fingerprint", lambda: "another machine")


def test_bits_must_be_equal_here(kept):
    x, fields = kept
    assert not goldens.compare("worlds", "toy", fields)
    assert not goldens.compare("worlds", "toy", fields | {"new": 1})
    (said,) = goldens.compare("worlds", "toy", fields | {"x": goldens.described(x * (1 + 1e-7))})
    assert said.startswith("worlds/toy: x: ")
    (said,) = goldens.compare("worlds", "toy", {name: v for name, v in fields.items() if name != "n"})
    assert said == "worlds/toy: n: is gone"


@pytest.mark.usefixtures("elsewhere")
def test_numbers_must_be_near_elsewhere(kept):
    x, fields = kept
    for factor, differs in ((1 + 2e-7, 0), (1 + 1e-5, 1)):
        assert len(goldens.compare("worlds", "toy", fields | {"x": goldens.described(x * factor)})) == differs
    far = x.clone()
    far[0] += 1e-4
    (said,) = goldens.compare("worlds", "toy", fields | {"x": goldens.described(far)})
    assert "1 of 35 kept numbers differ, most -1.0 -> -0.9998" in said
    for changed in (
        {"n": 4},
        {"on": [False]},
        {"said": ["MCC 0.125 of 4"]},
        {"said": ["MCC 0.123 of 5"]},
        {"empty": 0},
    ):
        assert len(goldens.compare("worlds", "toy", fields | changed)) == 1
    assert not goldens.compare("worlds", "toy", fields | {"said": ["MCC 0.124 of 4"]})


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(("allowed", "count"), [(1e-3, 0), (math.inf, 0), (1e-5, 1)])
def test_what_rounding_decides_may_be_looser_elsewhere(kept, monkeypatch, allowed, count):
    x, fields = kept
    monkeypatch.setattr(goldens, "LOOSE", {"^worlds/toy: x$": (allowed, "why")})
    assert len(goldens.compare("worlds", "toy", fields | {"x": goldens.described(x * 1.0002)})) == count


def test_rows_of_a_table_in_any_order_and_as_its_golden_has_them(monkeypatch):
    old = pl.DataFrame({"arm": ["b", "a", "a"], "l1": [None, 0.5, 0.5], "metric": ["x", "x_null", "x"], "n": [4, 5, 6]})
    fields = goldens.rows_of(old)
    assert fields["table: l1"]["numbers"] == [0.5, 0.5, None]
    now = pl.DataFrame(
        {
            "place": ["a", "b", "a", "c"],
            "setting": ["l1=0.5", None, "l1=0.5", None],
            "metric": ["x", "x", "x", "new"],
            "kind": ["score", "score", "null", "score"],
            "n": [6.0, 4.0, 5.0, 0.0],
        }
    )
    monkeypatch.setattr(goldens, "FOLLOWS", {"toy": {"arm": pl.col("place")}})
    monkeypatch.setattr(goldens, "RENAMED", {"toy": {}})
    assert goldens.rows_of(goldens.as_kept(now, "toy", fields)) == fields


@pytest.mark.parametrize("item", goldens.FOLLOWS)
def test_columns_are_made_only_for_a_golden_that_has_them(item):
    """A golden written anew has today's columns: what made the older ones of them would drop rows, and must go."""
    golden = goldens._kept(goldens.path_of("experiments", item))["items"][item]
    assert {f"table: {name}" for name in goldens.FOLLOWS[item]} <= golden.keys()
