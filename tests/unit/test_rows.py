"""Activations that somebody has already: every kind trains, repeats, goes on from a checkpoint or says why not."""

import re

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from units import SMALL

import workbench as W
from synthetic import stream
from synthetic.rows import ArrayRows, IteratorRows, PassRows, as_source
from synthetic.source import Finite, Source
from workbench import rows

X = torch.randn(400, 6, generator=stream(0, "test rows"))
SHORT = W.TrainConfig(steps=10, batch=32, checkpoint_every=4)


def loader(**how):
    return DataLoader(TensorDataset(X, torch.zeros(len(X))), **{"batch_size": 50, "shuffle": True, **how})


KINDS = {
    "tensor": lambda: X,
    "array": lambda: X.numpy(),
    "list": lambda: [X[:7], X[7:300].numpy(), X[300:]],
    "sequences": lambda: X.reshape(50, 8, 6),
    "loader": loader,
    "loader of its own generator": lambda: loader(generator=torch.Generator().manual_seed(3)),
    "factory": lambda: lambda: iter(X.reshape(40, 2, 5, 6)),
    "iterator": lambda: iter(X.split(33)),
    "single rows": lambda: (row for row in X),
}


def weights(source, config=SHORT, **how):
    sae = W.create("topk", 6, 12, k=2)
    W.train(sae, source, config, **how)
    return sae.W_dec.detach()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_source_that_repeats(kind):
    assert isinstance(rows(KINDS[kind]()), Finite)
    ended = weights(KINDS[kind]())
    torch.rand(3)  # the caller's own draws have no part in it
    assert torch.equal(weights(rows(KINDS[kind]())), ended)
    one, other = (rows(KINDS[kind]()).batch(32, seed, 0) for seed in (0, 1))
    assert torch.equal(one, other) == (kind in ("iterator", "single rows", "factory"))


def test_training_leaves_the_callers_generators_alone():
    own = torch.Generator().manual_seed(3)
    before, ours = torch.get_rng_state(), own.get_state()
    weights(loader(generator=own))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(own.get_state(), ours)


@pytest.mark.parametrize("kind", ["tensor", "list", "loader"])
def test_an_epoch_has_each_row_once_in_an_order_of_its_own(kind):
    source = rows(KINDS[kind]())
    epochs = [torch.cat([source.batch(40, 5, step) for step in range(start, start + 10)]) for start in (0, 10)]
    for epoch in epochs:
        assert torch.equal(epoch[epoch[:, 0].argsort()], X[X[:, 0].argsort()])
    assert not torch.equal(*epochs)
    assert not torch.equal(epochs[0], torch.cat([source.batch(40, 6, step) for step in range(10)]))


def test_batches_are_cut_from_passes_without_loss():
    source, far = (rows(lambda: iter(X.split(33))) for _ in range(2))
    drawn = torch.cat([source.batch(30, 0, step) for step in range(27)])
    assert torch.equal(drawn, torch.cat((X, X, X))[:810])
    assert torch.equal(far.batch(30, 0, 20), drawn[600:630])
    assert torch.equal(far.batch(30, 0, 2), drawn[60:90])


def test_rows_of_arrays_are_the_arrays_own():
    mapped = X.double().numpy()
    mapped.flags.writeable = False
    assert torch.equal(rows([X[:9], X[9:]]).rows(torch.arange(len(X))), X)
    assert torch.equal(rows(mapped[::-1]).rows(torch.arange(len(X))), X.double().flip(0))
    assert rows(X).parts[0].data_ptr() == X.data_ptr()
    drawn = rows(X).sample(5000, stream(1, "drawn")).x
    assert len(drawn.unique(dim=0)) == len(X)


def test_the_first_rows_of_an_iterator_are_trained_on_too():
    source = rows(iter(X.split(33)))
    assert source.sample(64, stream(0, "s")).x.shape == (64, 6)
    assert torch.equal(torch.cat([source.batch(40, 0, step) for step in range(10)]), X)


def test_an_iterator_that_runs_dry_says_how_much_it_gave():
    sae = W.create("topk", 6, 12, k=2)
    said = r"enough for the run; got an iterator that gave 400 rows, where 13 steps of 32 take 416: lower steps or"
    with pytest.raises(ValueError, match=said):
        W.train(sae, iter(X.split(33)), W.TrainConfig(steps=20, batch=32))
    assert not sae.training


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_on_rows_goes_on_with_the_same_bits(kind, tmp_path):
    def stop(progress):
        if progress.step == 6:
            raise KeyboardInterrupt

    whole = weights(KINDS[kind]())
    with pytest.raises(KeyboardInterrupt):
        weights(KINDS[kind](), checkpoint=tmp_path / "c", on_step=stop)
    assert torch.equal(weights(KINDS[kind](), checkpoint=tmp_path / "c", resume=True), whole)


def test_what_cannot_go_on_says_why(tmp_path):
    once = iter(X.split(33))
    weights(once, checkpoint=tmp_path / "c")
    with pytest.raises(
        ValueError, match=r"starts as the run's did; got one with other rows: an iterator cannot be rewo"
    ):
        weights(iter(X.flip(0).split(33)), checkpoint=tmp_path / "c", resume=True)
    source = rows(iter(X.split(33)))
    weights(source)
    with pytest.raises(
        ValueError, match=r"rows of step 0 again; got an iterator that has gone on to row 320: it gives"
    ):
        weights(source)
    with pytest.raises(ValueError, match=r"checkpoint\.world must be that of the run, "):
        weights(X, checkpoint=tmp_path / "c", resume=True)
    weights(X, checkpoint=tmp_path / "d")
    with pytest.raises(ValueError, match=r"checkpoint\.world must be that of the run, parts\[0\]\.tensor = "):
        weights(X + 1e-3, checkpoint=tmp_path / "d", resume=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            torch.ones(4, 6, dtype=torch.int32),
            "rows must be of floating-point numbers; got numbers of torch.int32: conv",
        ),
        (np.ones((4, 6), "O"), "rows must be of floating-point numbers; got numbers of object"),
        (torch.ones(6), r"rows must be of shape (n, d); got shape (6,): give each activation a row"),
        (torch.ones(0, 6), "rows must be of at least one row"),
        ([X, X[:, :4]], "rows must be of one width; got widths [4, 6]"),
        ([1.0, 2.0], "rows must be a tensor or array (n, d), a list of them, a DataLoader, a function"),
        ({"x": X}, "rows must be a tensor or array"),
        (TensorDataset(X), "wrap a map-style data set in a DataLoader"),
        (3, "rows must be a tensor or array"),
        (X[:20], "batch must be in [1, 20], the number of rows there are; got 32: lower it"),
        (iter([]), "rows must be an iterator with batches to give; got one that gave none"),
        (lambda: X, "rows must be a function that returns an iterator; got Tensor: yield batches in it"),
        (iter([{"x": X, "y": X}]), "tuple whose first entry is one; got a dictionary of ['x', 'y']: choose its entry"),
        (iter([X, X[:, :5]]), "batch 1 of rows must be of width 6, the first one's; got width 5"),
        (X[:, :5], "train.source must be of dimension 6, the SAE's; got 5"),
        (X * float("nan"), "world.x must be finite"),
        ("superpositon", "perhaps you meant 'superposition'"),
    ],
)
def test_what_is_no_source_of_rows_is_refused_in_one_sentence(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        weights(given)


def test_a_function_that_returns_its_one_iterator_is_caught_in_the_second_pass():
    once = iter(X.split(50))
    next(once)  # the head of the set takes a pass of its own
    with pytest.raises(ValueError, match="at least one batch in each pass; got none in pass 1: return a new iterator"):
        weights(lambda: once)


def test_a_source_is_told_by_what_it_is():
    assert [type(as_source(KINDS[kind]())) for kind in ("tensor", "loader", "iterator")] == [
        ArrayRows,
        PassRows,
        IteratorRows,
    ]
    world = as_source("toy")
    assert as_source(world) is world
    assert isinstance(world, Source)


def test_the_unit_of_rows_does_not_matter():
    assert torch.equal(weights(X), weights(X * SMALL))
