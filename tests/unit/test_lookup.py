"""One lookup of worlds and other sources by name."""

from dataclasses import dataclass

import pytest
import torch

import synthetic as S
from synthetic import lookup
from synthetic.base.shelf import Shelf
from synthetic.worlds.hierarchy import concept_tree
from synthetic.worlds.superposition import superposition
from workbench.plugins import shelves


def test_every_name_of_the_shelf_is_found_with_its_settings_and_its_mixtures_fields():
    assert {"toy", "superposition", "correlated", "hierarchical", "noisy", "concept_tree"} <= set(S.worlds.worlds())
    assert {"bidirectional", "circles", "planted", "logical", "offset", "planted_attention"} <= set(S.worlds.worlds())
    assert S.find_source("superposition") == superposition()
    assert S.find_source("concept_tree", rho=0.3, noise=S.Isotropic(sd=0.1)) == concept_tree(
        0.3, noise=S.Isotropic(sd=0.1)
    )
    assert S.find_source("planted", n_true=12, bias_norm=2.0).inner.bias_norm == 2.0
    assert S.worlds.worlds().about["toy"].startswith("16 nearly orthogonal features")


def test_unknown_names_and_settings_are_refused_with_the_nearest(tmp_path):
    with pytest.raises(ValueError, match=r"world must be one of .*; got 'superpositon': perhaps you meant 'superpos"):
        S.find_source("superpositon")
    with pytest.raises(ValueError, match=r"setting of SparseMixture must be one of .*: perhaps you meant 'bias_norm'"):
        S.find_source("toy", bias_nrm=1.0)
    with pytest.raises(FileNotFoundError, match=r"world folder must hold world\.json; got no such file in"):
        S.find_source(f"{tmp_path}/none")


def test_a_folder_is_a_world_without_settings(tmp_path):
    world = S.find_source("circles", groups=3)
    folder = str(S.save_world(world, tmp_path / "w"))
    assert S.find_source(folder) == world
    with pytest.raises(
        ValueError, match=r"find_source\.groups must be absent where a folder is named; got .*: drop it"
    ):
        S.find_source(folder, groups=4)


def test_other_kinds_register_an_opener(monkeypatch):
    monkeypatch.setattr(lookup, "_OPENERS", [])
    world = superposition()
    S.opener(lambda name: world if name == "bucket:7" else None)
    assert S.find_source("bucket:7") is world
    assert S.find_source("toy").n_true == 16


def test_a_users_world_is_found_by_its_functions_or_its_classs_name(monkeypatch):
    from synthetic.base import storage

    monkeypatch.setattr(storage, "_KNOBS", dict(storage._KNOBS))
    monkeypatch.setattr(S.worlds.worlds(), "_things", dict(S.worlds.worlds()))

    @S.world
    def fog(d: int = 3) -> S.SparseMixture:
        """Little to see.

        More of it.
        """
        return S.SparseMixture(n_true=4, d=d)

    @S.knob
    @dataclass(frozen=True)
    class Fog:
        d: int = 5

        def sample(self, n: int, rng: torch.Generator) -> S.Batch:
            return superposition().sample(n, rng)

    assert S.find_source("fog", d=2).d == 2
    assert S.worlds.worlds().about["fog"] == "Little to see."
    assert S.find_source("Fog").d == 5
    with pytest.raises(ValueError, match="world must be one of"):
        S.find_source("Independent")  # a law of firing, which samples, but is no source
    assert {"fog", "Fog", "SparseMixture"} <= shelves()["worlds"].keys()
    assert "Independent" not in shelves()["worlds"]


def test_a_shelf_refuses_a_name_that_is_taken_and_what_says_nothing_of_itself():
    shelf = Shelf("tool")

    def hammer():
        """Drive nails."""

    def again():
        """Drive more nails."""

    shelf.put(hammer)
    assert shelf.put(hammer) is hammer  # a cell that is run twice
    again.__name__ = "hammer"
    with pytest.raises(ValueError, match=r"tool 'hammer' must be of a name that is not taken; got .*: choose another"):
        shelf.put(again)
    again.__name__, again.__doc__ = "again", None
    with pytest.raises(ValueError, match="tool 'again' must be documented; got no docstring: its first line is what"):
        shelf.put(again)
    assert list(shelf) == ["hammer"]
