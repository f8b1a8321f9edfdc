"""Activations of a store as a source: epochs, splits, the same batch for the same step, training on them."""

import shutil
from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
import torch
from torch.testing import assert_close

transformers = pytest.importorskip("transformers", reason="language models need it: pip install 'sae-workbench[lm]'")

from lm import language_model, texts  # noqa: E402

import synthetic as S  # noqa: E402
import workbench as W  # noqa: E402
from synthetic.source import training_batch  # noqa: E402
from workbench.lm.activations import Activations  # noqa: E402
from workbench.lm.packing import PAD  # noqa: E402
from workbench.lm.sources import store_and_hook  # noqa: E402
from workbench.lm.store import StoreConfig, open_store, write_store  # noqa: E402
from workbench.public import find_source  # noqa: E402

CONFIG = StoreConfig(hooks=("resid_post.1", "hook_z.0"), tokens=400, context=8, shard=4)
LENGTHS = [14, 9, 30, 5] * 5


def written(folder, text="", **changes):
    return write_store(folder, language_model("llama"), texts(*LENGTHS), replace(CONFIG, **changes), text=text)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return written(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="module")
def padded(tmp_path_factory):
    return written(tmp_path_factory.mktemp("padded"), mix=False, dtype="bfloat16")


def held(store, hook="resid_post.1", keep=lambda ids, document, place: ids != PAD):
    """Rows of a store by hand, in the order of the text."""
    parts = []
    for i in range(store.shards):
        own = store.shard(i)
        place = torch.arange(CONFIG.context).expand_as(own["ids"])
        parts.append(own[hook][keep(own["ids"], own["document"], place)].float())
    return torch.cat(parts)


def counted(x):
    return Counter(row.numpy().tobytes() for row in x)


def epoch(activations, n, seed=0, number=0):
    steps = activations.n // n
    return [activations.batch(n, seed, number * steps + i) for i in range(steps)]


# --- rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skip", [0, 1, 3])
@pytest.mark.parametrize("hook", ["resid_post.1", "hook_z.0"])
def test_rows_are_the_stores_in_the_order_of_the_text(store, padded, hook, skip):
    for own in (store, padded):
        activations = Activations(own, hook, skip=skip)
        expected = held(own, hook, lambda ids, _, place: (ids != PAD) & (place >= skip))
        assert activations.n == len(expected)
        assert activations.d == expected.shape[1] == (24 if hook == "hook_z.0" else 16)
        assert torch.equal(torch.cat(list(activations.in_order(7))), expected)
        index = torch.tensor([activations.n - 1, 0, 5, 5, 40])
        assert torch.equal(activations.rows(index), expected[index])
        assert activations.rows(index).dtype == torch.float32
        for outside in (-1, activations.n):
            with pytest.raises(ValueError, match=r"Activations\.rows must be numbers in \[0, .*\); got one outside"):
                activations.rows(torch.tensor([0, outside]))
    assert held(padded).shape[0] < padded.shards * 32
    assert isinstance(activations, S.Finite)
    assert isinstance(activations, S.Source)


def test_standardised_rows(store):
    plain, own = (Activations(store, "resid_post.1", standardise=flag) for flag in (False, True))
    x, y = (torch.cat(list(source.in_order(64))).double() for source in (plain, own))
    centred = x - x.mean(1, keepdim=True)
    assert_close(y, centred / ((centred.square().sum(1, keepdim=True) / 15).sqrt() + 1e-5), atol=1e-5, rtol=1e-5)
    assert_close(own.batch(20, 0, 3), own.batch(20, 0, 3))
    assert_close(own.batch(20, 0, 3).mean(1), torch.zeros(20), atol=1e-6, rtol=0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.77])
def test_documents_are_in_one_part_only(store, padded, share):
    for own in (store, padded):
        last = max(int(part.document.max()) for part in own.sequences())
        border = round(share * (last + 1))
        train, test = (Activations(own, "resid_post.1", part) for part in ((0.0, share), (share, 1.0)))
        whole = Activations(own, "resid_post.1")
        rows = [torch.cat(list(part.in_order(50))) for part in (train, test, whole)]
        assert torch.equal(rows[0], held(own, keep=lambda _, d, place: (d < border) & (d != PAD) & (place > 0)))  # noqa: B023
        assert torch.equal(rows[1], held(own, keep=lambda _, d, place: (d >= border) & (place > 0)))  # noqa: B023
        assert train.n + test.n == whole.n
        assert counted(rows[0]) + counted(rows[1]) == counted(rows[2])


@pytest.mark.parametrize("skip", [1, 4])
@pytest.mark.parametrize("part", [(0.0, 0.6), (0.6, 1.0), (0.0, 1.0)])
def test_sequences_hold_rows_and_no_others_documents(store, padded, part, skip):
    """Also among the tokens that are skipped."""
    for own in (store, padded):
        activations = Activations(own, "resid_post.1", part, skip)
        count = 1 + max(int(shard.document.max()) for shard in own.sequences())
        low, high = (round(share * count) for share in part)
        expected = [
            ids
            for shard in own.sequences()
            for ids, owners in zip(shard.ids.tolist(), shard.document.tolist(), strict=True)
            if all(low <= owner < high or owner == PAD for owner in owners) and PAD not in ids[: skip + 1]
        ]
        assert activations.sequences().tolist() == expected
        assert len(expected) > 5


@pytest.mark.parametrize("skip", [0, 2])
def test_positions_are_places_in_the_sequence(padded, skip):
    activations = Activations(padded, "resid_post.1", (0.3, 1.0), skip)
    expected = []
    count = 1 + max(int(own.document.max()) for own in padded.sequences())
    for own in padded.sequences():
        for owners in own.document.tolist():
            expected += [i for i, owner in enumerate(owners) if owner >= round(0.3 * count) and i >= skip]
    assert activations.positions.tolist() == expected
    assert len(expected) == activations.n


def test_a_source_by_name(store, tmp_path):
    """A world of ours, a store with its hook point, a store of one hook point alone."""
    assert find_source(f"{store.folder}:hook_z.0") == Activations(store, "hook_z.0")
    with pytest.raises(ValueError, match=r"--world must be a store and hook point, FOLDER:HOOK; got .*: its hook"):
        find_source(str(store.folder))
    with pytest.raises(ValueError, match=r"Activations\.hook must be one of"):
        find_source(f"{store.folder}:hook_z.1")
    alone = written(tmp_path, hooks=("mlp_out.0",), tokens=1)
    assert find_source(str(tmp_path)) == Activations(alone, "mlp_out.0")
    assert find_source("superposition") == S.worlds.worlds()["superposition"]()


def test_hook_points_by_transformer_lens_names(store):
    """One parse at every door: settings, rows, the command line's names, what SAEs say of themselves."""
    assert StoreConfig(hooks=("blocks.1.hook_resid_post",)).hooks == ("resid_post.1",)
    own = Activations(store, "blocks.1.hook_resid_post")
    assert own == Activations(store, "resid_post.1") == find_source(f"{store.folder}:blocks.1.hook_resid_post")
    assert own.metadata["hook_name"] == "blocks.1.hook_resid_post"
    assert find_source(f"{store.folder}:blocks.0.attn.hook_z") == Activations(store, "hook_z.0")
    with pytest.raises(ValueError, match=r"hook point must be such as .*; got 'x': name kind and layer"):
        Activations(store, "x")


@pytest.mark.parametrize(
    ("name", "folder", "hook"),
    [
        ("acts:resid_pre.1", "acts", "resid_pre.1"),
        ("run-12:30/acts:blocks.1.attn.hook_z", "run-12:30/acts", "blocks.1.attn.hook_z"),
        (r"C:\acts:resid_pre.1", r"C:\acts", "resid_pre.1"),
        (r"C:\acts", r"C:\acts", ""),
        ("C:/acts", "C:/acts", ""),
        ("run-12:30", "run-12:30", ""),
        ("superposition", "superposition", ""),
        (":resid_pre.1", ":resid_pre.1", ""),
    ],
)
def test_a_name_is_parted_at_its_last_colon(name, folder, hook):
    assert store_and_hook(name) == (folder, hook)


def test_colons_in_a_stores_folder(store, tmp_path):
    """A folder that is there as a whole wins over one that its name could mean with a hook point."""
    folder = tmp_path / "run-12:30" / "acts:hook_z.0"
    shutil.copytree(store.folder, folder)
    shutil.copytree(store.folder, tmp_path / "run-12:30" / "acts")
    assert find_source(f"{folder}:resid_post.1") == Activations(open_store(folder), "resid_post.1")
    with pytest.raises(
        ValueError, match=r"--world must be a store and hook point, FOLDER:HOOK; got .*acts:hook_z\.0: its"
    ):
        find_source(str(folder))
    with pytest.raises(
        FileNotFoundError, match=r"activation store must hold store\.json; got no such file in .*nowhere"
    ):
        find_source(f"{tmp_path}/nowhere:hook_z.0")


def test_a_users_default_type_and_device_change_nothing(store):
    activations = Activations(store, "resid_post.1", standardise=True)
    expected = activations.batch(20, 0, 3), next(activations.in_order(20))
    fresh = Activations(open_store(store.folder), "resid_post.1", standardise=True)
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        found = fresh.batch(20, 0, 3), next(fresh.in_order(20))
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device("cpu")
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)


def test_samples_are_rows_drawn_by_the_generator(store):
    activations = Activations(store, "hook_z.0")
    one, again, other = (activations.sample(500, S.stream(0, "t", step)).x for step in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert counted(one).keys() <= counted(torch.cat(list(activations.in_order(100)))).keys()
    assert len(counted(one)) > 200  # with replacement: 1 - 1/e of the rows at most, at as many draws


# --- epochs ----------------------------------------------------------------------------------------------------------

WINDOWS = [1, 28, 60, 100, 2**19]
"""rows: a shard each, a little less and more than some shards, all at once"""


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("n", [1, 17, 64, 300])
def test_an_epoch_visits_each_row_once(store, window, n):
    activations = Activations(store, "resid_post.1", window=window)
    everything = counted(torch.cat(list(activations.in_order(1000))))
    for number in (0, 2):
        batches = epoch(activations, n, number=number)
        assert all(batch.shape == (n, 16) for batch in batches)
        visited = counted(torch.cat(batches))
        assert visited <= everything
        assert 0 <= everything.total() - visited.total() < n


@pytest.mark.parametrize("window", WINDOWS)
def test_order_differs_between_epochs_and_seeds_alone(store, window):
    activations = Activations(store, "resid_post.1", window=window)
    first, again, second, other = (
        torch.cat(epoch(activations, 16, seed, number)) for seed, number in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    assert torch.equal(first, again)
    text = torch.cat(list(activations.in_order(1000)))[: len(first)]
    for a, b in ((first, second), (first, other), (second, other), (first, text)):
        assert (a == b).all(1).double().mean() < 0.2


def test_windows_hold_whole_shards_and_are_shuffled_within(store):
    """Small windows: rows of a shard come together, in another order than the text's; shards come in any order."""
    activations = Activations(store, "resid_post.1", window=1)
    text = [row.numpy().tobytes() for row in torch.cat(list(activations.in_order(1000)))]
    places = {row: i for i, row in enumerate(text) if text.count(row) == 1}

    def visited(own, number=0):
        rows = [x.numpy().tobytes() for x in epoch(own, 1, number=number)]
        return [places[row] for row in rows if row in places]

    def changes(own, number=0):
        shards = [place // 28 for place in visited(own, number)]  # 4 sequences of 8 tokens less BOS
        return [b for a, b in pairwise(shards) if a != b]

    assert len(places) > 100
    assert len(changes(activations)) == store.shards - 1
    assert changes(activations) != sorted(changes(activations))
    assert changes(activations) != changes(activations, 1)
    assert sum(b - a == 1 for a, b in pairwise(visited(activations))) < len(places) / 5
    assert len(changes(replace(activations, window=2**19))) > 10 * store.shards


def test_rows_of_a_lone_shard_come_in_another_order_each_epoch_and_seed(tmp_path):
    """No order of shards hides the order of rows."""
    activations = Activations(written(tmp_path, tokens=1), "resid_post.1")
    orders = [torch.cat(epoch(activations, 4, *which)) for which in ((0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (0, 0))]
    assert torch.equal(orders[0], orders[-1])
    for one, other in combinations(orders[:-1], 2):
        assert not torch.equal(one, other)
        assert counted(one) == counted(other)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_batch_is_a_function_of_its_step(store, window):
    """Any order of calls, epochs back and forth, reopened, another object in between."""
    activations = Activations(store, "resid_post.1", window=window)
    steps = list(range(0, 40, 3))
    expected = {step: activations.batch(50, 7, step) for step in steps}
    fresh = Activations(open_store(store.folder), "resid_post.1", window=window)
    for step in torch.randperm(len(steps), generator=S.stream(0, "t")).tolist():
        activations.batch(50, 8, step)
        for own in (activations, fresh):
            assert torch.equal(own.batch(50, 7, steps[step]), expected[steps[step]])
    assert torch.equal(training_batch(fresh, 50, 7, 6, torch.device("cpu"))[0], expected[6])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hook": "resid_post.2"}, r"Activations\.hook must be one of .*; got 'resid_post\.2': perhaps you meant"),
        ({"documents": (0.5, 0.5)}, r"Activations\.documents must be shares 0 <= from < to <= 1; got \(0\.5, 0\.5\)"),
        ({"documents": (0.0, 1.1)}, r"Activations\.documents must be shares"),
        ({"documents": (-0.1, 1.0)}, r"Activations\.documents must be shares"),
        ({"documents": (0.0, 0.001)}, r"Activations\.documents must be a share that holds rows; got \(0\.0, 0\.001\)"),
        ({"skip": 8}, r"Activations\.documents must be a share that holds rows"),
        ({"skip": -1}, r"Activations\.skip must be at least 0; got -1: use 0 for none"),
        ({"window": 0}, r"Activations\.window must be at least 1; got 0: raise it"),
    ],
)
def test_activations_check_their_settings(store, settings, message):
    with pytest.raises(ValueError, match=message):
        Activations(**{"store": store, "hook": "resid_post.1"} | settings)


def test_a_batch_has_at_most_all_rows(store):
    activations = Activations(store, "resid_post.1")
    assert counted(activations.batch(activations.n, 0, 0)) == counted(torch.cat(list(activations.in_order(1000))))
    message = f"batch must be at most the {activations.n} activations there are; got {activations.n + 1}: lower it"
    with pytest.raises(ValueError, match=message):
        activations.batch(activations.n + 1, 0, 0)
    with pytest.raises(ValueError, match="batch must be at least 1; got 0: raise it"):
        activations.batch(0, 0, 0)


# --- training --------------------------------------------------------------------------------------------------------

TRAIN = W.TrainConfig(steps=22, batch=40, checkpoint_every=7)
"""two epochs of 9 steps and a part of a third"""


def new():
    return W.create("topk", 16, 40, seed=[0, 1], k=[2, 3])


def state(sae):
    return {name: value.clone() for name, value in sae.state_dict().items()}


def same_bits(a, b):
    for name in a:
        assert torch.equal(a[name], b[name]), name


def timeless(records):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def test_training_learns_and_sees_the_batches_of_the_store(store):
    activations, seen = Activations(store, "resid_post.1"), []

    class Watched(S.Finite):
        d, sample = activations.d, activations.sample

        def batch(self, n, seed, step):
            seen.append((n, seed, step))
            return activations.batch(n, seed, step)

    sae, plain = new(), new()
    records = W.train(sae, Watched(), TRAIN, seed=3)
    assert seen == [(40, 3, step) for step in range(22)]
    W.train(plain, activations, TRAIN, seed=3)
    same_bits(state(sae), state(plain))
    x = torch.cat(list(activations.in_order(1000)))
    assert ((sae(x) - x).square().sum((-1, -2)) < (x - x.mean(0)).square().sum()).all()
    assert records[-1]["step"] == 22


@pytest.mark.parametrize("window", [30, 2**19])
def test_a_resumed_run_has_the_bits_of_an_unbroken_one(store, tmp_path, window):
    """Broken off in the second epoch; resumed on the store opened again, and on a copy of it in another folder."""

    def stop(progress):
        if progress.step == 12:
            raise KeyboardInterrupt

    activations = Activations(store, "resid_post.1", (0.0, 0.9), window=window)
    unbroken, file = new(), tmp_path / "checkpoint"

    def score(sae):
        return {"size": sae.W_dec.detach().abs().sum((-1, -2))}

    config = replace(TRAIN, evaluations=3)
    records = W.train(unbroken, activations, config, seed=3, score=score)
    with pytest.raises(KeyboardInterrupt):
        W.train(new(), activations, config, seed=3, checkpoint=file, on_step=stop, score=score)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in store.folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    resumed, steps = new(), []
    own = Activations(open_store(copy), "resid_post.1", (0.0, 0.9), window=window)
    again = W.train(
        resumed, own, config, seed=3, checkpoint=file, resume=True, on_step=lambda p: steps.append(p.step), score=score
    )
    assert steps == list(range(8, 23))
    same_bits(state(unbroken), state(resumed))
    assert timeless(again) == timeless(records)


@pytest.mark.parametrize(
    "changed", [{"hook": "hook_z.0"}, {"documents": (0.0, 0.9)}, {"skip": 2}, {"standardise": True}, {"window": 50}]
)
def test_a_checkpoint_of_other_activations_is_refused(store, tmp_path, changed):
    config = replace(TRAIN, steps=2)

    def run(source, resume):
        sae = W.create("topk", source.d, 40, k=2)
        return W.train(sae, source, config, checkpoint=tmp_path / "c", resume=resume)

    run(Activations(store, "resid_post.1"), False)
    name = "d" if "hook" in changed else "world"
    with pytest.raises(ValueError, match=rf"checkpoint\.{name} must be that of the run, .*; got .*: resume with the"):
        run(Activations(**{"store": store, "hook": "resid_post.1"} | changed), True)


def test_a_checkpoint_of_another_store_is_refused(store, tmp_path):
    config = replace(TRAIN, steps=2)
    file = tmp_path / "c"
    W.train(new(), Activations(store, "resid_post.1"), config, checkpoint=file)
    other = written(tmp_path / "other", text="another")
    with pytest.raises(ValueError, match=r"checkpoint\.world must be that of the run, store\.mark = .*; got store\.m"):
        W.train(new(), Activations(other, "resid_post.1"), config, checkpoint=file, resume=True)


def test_evaluations_need_a_score(store):
    """Told before the first step, not at the first evaluation."""
    activations, steps = Activations(store, "resid_post.1"), []
    sae = new()
    before = state(sae)
    with pytest.raises(ValueError, match=r"train\.score must be given for activations of unknown causes; got none"):
        W.train(sae, activations, replace(TRAIN, evaluations=1), on_step=steps.append)
    assert steps == []
    same_bits(state(sae), before)
    measure = {"own": torch.tensor([1.0, 2.0]), "other": 3.0}
    config = replace(TRAIN, evaluations=2)
    records = W.train(sae, activations, config, score=lambda own: measure | {"itself": float(own is sae)})
    assert [record["step"] for record in records] == sorted(config.evaluate_at())
    assert all((record["own"], record["other"], record["itself"]) == ([1.0, 2.0], 3.0, 1.0) for record in records)
    assert "mcc" not in records[0]


def test_a_score_may_take_the_place_of_a_worlds_metrics():
    world = S.SparseMixture(n_true=12, d=16)
    records = W.train(new(), world, replace(TRAIN, evaluations=1), score=lambda _: {"mine": 1.0})
    assert records[-1]["mine"] == 1.0
    assert "mcc" not in records[-1]
