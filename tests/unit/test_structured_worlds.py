"""Hierarchies, signs, interactions, neuron groups and circles: figures worked by hand, samples against exact truth."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
from synthetic.source import targets_of
from synthetic.worlds.interactions import pair_roles

WORLDS = S.worlds.worlds()
N = 20_000


def figures(world, n=N, seed=0):
    batch = world.sample(n, S.stream(seed, "t"))
    h = batch.h.dense().double()
    return batch.x.double(), h, (h != 0).double()


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


# --- hierarchies -----------------------------------------------------------------------------------------------------


def test_the_toy_tree_has_the_published_figures():
    truth = WORLDS["concept_tree"]().truth
    assert_close(truth.rates, f64(*[0.2] * 3, *[0.05] * 8, *[0.04] * 9))
    assert truth.expected_l0 == pytest.approx(1.36)
    assert truth.levels.tolist() == [0] * 11 + [1] * 3 + [2] * 3 + [3] * 3
    assert truth.parents.tolist() == [-1] * 11 + [0] * 3 + [1] * 3 + [2] * 3
    assert_close(truth.features @ truth.features.T, torch.eye(20), atol=1e-6, rtol=0)
    pairs = truth.cofiring(torch.tensor([0, 11, 12, 1, 3]))
    assert_close(pairs[0], f64(0.2, 0.04, 0.04, 0.0, 0.0))
    assert_close(pairs[1], f64(0.04, 0.04, 0.0, 0.0, 0.0))
    assert_close(truth.mean_h, 1.5 * truth.rates)


def test_in_the_toy_tree_one_root_child_is_always_active_and_levels_hold_one():
    _, h, fires = figures(WORLDS["concept_tree"]())
    level = WORLDS["concept_tree"]().truth.levels
    assert bool((fires[:, :11].sum(1) == 1).all())
    for family in range(1, 4):
        below = fires[:, level == family].sum(1)
        assert bool((below <= fires[:, family - 1]).all())
    assert abs(float(fires.sum(1).mean()) - 1.36) < 5 * 0.48 / N**0.5
    assert abs(float(h[h != 0].std()) - 0.25) < 0.01


def test_inner_products_inside_and_across_levels_are_those_asked_for():
    truth = WORLDS["concept_tree"](rho=0.6, leak=0.02).truth
    same = truth.levels[:, None] == truth.levels
    asked = torch.where(same, 0.6, 0.02).fill_diagonal_(1)
    assert_close(truth.features @ truth.features.T, asked, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("n", "e"), [(3, 0.2), (11, 0.5)])
def test_the_papers_mixing_of_a_level_has_the_same_gram_matrix(n, e):
    """v_i = (1-e) q_i + e/(n-1) sum_{j != i} q_j, normalised."""
    rows = (1 - e) * torch.eye(n).double() + e / (n - 1) * (1 - torch.eye(n).double())
    gram = rows @ rows.T / rows[0].square().sum()
    cosine = (2 * e * (1 - e) / (n - 1) + (n - 2) * e**2 / (n - 1) ** 2) / ((1 - e) ** 2 + e**2 / (n - 1))
    ours = S.ConditionallyOrthogonal((n,), cosine).draw(n, n, S.stream(0, "t"))
    assert_close(ours @ ours.T, gram)


def test_children_may_have_other_magnitudes():
    world = WORLDS["concept_tree"](child_mean=0.5, child_sd=0.0, parent_mean=1.0)
    _, h, _ = figures(world, 2000)
    assert set(h[:, 11:].unique().tolist()) == {0.0, 0.5}
    assert_close(world.truth.mean_h[[0, 11]], f64(0.2, 0.02))


def test_depth_is_the_other_level_of_a_tree():
    tree = S.ConceptTree((-1, 0, 1, 1, -1), (0.5, 0.5, 0.3, 0.3, 0.5), "depth")
    assert tree.structure(5)["levels"].tolist() == [0, 1, 2, 2, 0]
    assert replace(tree, level="family").structure(5)["levels"].tolist() == [0, 1, 2, 2, 0]
    other = S.ConceptTree((-1, -1, 0, 1), (0.5, 0.5, 0.5, 0.5), "depth")
    assert other.structure(4)["levels"].tolist() == [0, 0, 1, 1]
    assert replace(other, level="family").structure(4)["levels"].tolist() == [0, 0, 1, 2]


def test_a_crowded_tree_is_conditionally_orthogonal_in_fewer_dimensions_than_features():
    truth = WORLDS["crowded_tree"]().truth
    assert (truth.n_true, truth.d) == (28, 11)
    apart = truth.levels[:, None] != truth.levels
    assert float((truth.features @ truth.features.T)[apart].abs().max()) < 1e-6
    assert int(torch.linalg.matrix_rank(truth.features)) == 11
    assert truth.expected_l0 == pytest.approx(1.8)


@pytest.mark.parametrize(("rule", "expected"), [("any", (1 - 0.7**2) * 0.5), ("all", 0.3**2 * 0.5)])
def test_a_child_of_two_parents_fires_by_the_rule(rule, expected):
    truth = S.SparseMixture(n_true=3, d=3, firing=S.ConceptDag(rule=rule)).truth
    assert float(truth.rates[2]) == pytest.approx(expected)
    joint = {"any": 0.3 * 0.5, "all": expected}[rule]
    assert float(truth.cofiring(torch.tensor([0, 2]))[0, 1]) == pytest.approx(joint)
    assert truth.edges.tolist() == [[0, 2], [1, 2]]
    assert truth.levels.tolist() == [0, 0, 1]
    assert truth.parents.tolist() == [-1, -1, 0]


def test_no_child_of_a_dag_fires_without_its_parents():
    for rule in ("any", "all"):
        world = WORLDS["concept_dag"](rule=rule)
        _, _, fires = figures(world, 4000)
        above = torch.zeros(12, 12).index_put((world.truth.edges[:, 1], world.truth.edges[:, 0]), torch.tensor(1.0))
        held = fires @ above.double().T
        needed = 1 if rule == "any" else above.sum(1).double()
        assert not bool(((fires == 1) & (held < needed) & (above.sum(1) > 0)).any())
        assert int(fires[:, 8:].sum()) > 0
        assert world.truth.edges.shape == (16, 2)


def test_pieces_of_a_dag_are_independent():
    firing = S.ConceptDag(((), (0,), (), (2,)), (0.5, 0.5, 0.4, 1.0))
    joint = S.SparseMixture(n_true=4, d=4, firing=firing).truth.cofiring(torch.arange(4))
    expected = f64(0.5, 0.25, 0.4, 0.4)
    assert_close(joint.diagonal(), expected)
    assert_close(joint[:2, 2:], torch.outer(expected[:2], expected[2:]))
    assert float(joint[2, 3]) == pytest.approx(0.4)


@pytest.mark.parametrize("law", [S.ConceptTree(), S.ConceptDag(), S.FrequentPairs(), S.Subspaces(2, 4)])
def test_a_scaled_law_has_scaled_rates(law):
    n = {"ConceptTree": 20, "ConceptDag": 3}.get(type(law).__name__, 32)
    one, other = (S.SparseMixture(n_true=n, d=3, firing=f).truth for f in (law, law.scaled(0.5)))
    if isinstance(law, S.ConceptTree | S.Subspaces):
        assert_close(other.rates, one.rates / 2)
    else:
        assert other.expected_l0 < one.expected_l0


@pytest.mark.parametrize(
    "law", [S.ConceptTree((-1, 0, 1, -1), (0.7, 0.9, 0.9, 0.3)), S.ConceptDag()], ids=["tree", "dag"]
)
def test_a_parent_that_comes_out_0_silences_what_is_below(law):
    """Magnitudes rectified at 0, a third of them 0: rates and co-firing to five standard errors."""
    n = len(law.parents_of)
    silent = S.PerFeature(0.4, 0.4, 1.0, 0.0)
    world = S.SparseMixture(n_true=n, d=4, firing=law, magnitudes=silent)
    _, h, fires = figures(world)
    joint = world.truth.cofiring(torch.arange(n))
    assert bool(((fires.T @ fires / N - joint).abs() <= 5 * (joint * (1 - joint) / N).sqrt()).all())
    assert float(world.truth.rates[0]) == pytest.approx(float(world.truth.requested_rates[0]) * 0.65542, rel=1e-4)
    assert_close(h.mean(0), world.truth.mean_h, atol=0.03, rtol=0)


# --- signs -----------------------------------------------------------------------------------------------------------


def test_signed_and_unipolar_worlds_differ_in_signs_alone():
    signed, unipolar = WORLDS["bidirectional"](), WORLDS["unipolar_sparse"]()
    assert torch.equal(signed.truth.features, unipolar.truth.features)
    (_, h, _), (_, u, _) = figures(signed), figures(unipolar)
    assert bool((u >= 0).all())
    assert abs(float((h[h != 0] > 0).double().mean()) - 0.5) < 0.01
    assert_close(signed.truth.covariance.trace(), f64(3 * (1 + 0.25**2))[0], atol=0.01, rtol=0)
    assert "sign" in signed.truth.symmetries
    assert "sign" not in unipolar.truth.symmetries
    assert "sign" in WORLDS["circles"]().truth.symmetries


def test_mixed_signs_turn_the_requested_share_at_the_requested_odds():
    world = WORLDS["mixed_signs"](q=0.25, p_plus=0.9)
    _, h, fires = figures(world)
    plus = (h > 0).double().sum(0) / fires.sum(0)
    assert bool((plus[6:] == 1).all())
    assert_close(plus[:6], torch.full((6,), 0.9, dtype=torch.float64), atol=5 * 0.3 / 2500**0.5, rtol=0)
    assert_close(world.truth.mean_h[:6], 0.8 * world.truth.mean_h[6:12])
    assert torch.equal(WORLDS["mixed_signs"](1.0, 0.5).truth.mean_h, torch.zeros(24, dtype=torch.float64))


def test_children_take_the_sign_of_the_parent_they_scale_with():
    firing = S.Forest(S.Independent(S.Levels((0.5, 0.25))), trees=2, branching=1, depth=1, scale_by_parent=True)
    world = S.SparseMixture(n_true=4, d=4, firing=firing, magnitudes=S.MixedSigns(S.Uniform(), 0.5, 0.25))
    _, h, fires = figures(world)
    assert bool((h[:, 2:].sign() == h[:, :2].sign() * fires[:, 2:]).all())
    assert_close(h.mean(0), world.truth.mean_h, atol=0.03, rtol=0)


def test_one_of_each_exclusive_pair_is_always_on():
    _, h, fires = figures(WORLDS["exclusive_pairs"](), 500)
    assert bool((fires.view(-1, 6, 2).sum(2) == 1).all())
    assert set(h.unique().tolist()) == {0.0, 1.0}
    assert WORLDS["exclusive_pairs"](rate=0.5).truth.expected_l0 == pytest.approx(3.0)


def test_a_two_valued_axis_that_is_always_on():
    _, h, _ = figures(WORLDS["bidirectional"](n_true=4, d=6, k=4, sd=0.0), 500)
    assert set(h.unique().tolist()) == {-1.0, 1.0}


# --- interactions ----------------------------------------------------------------------------------------------------


def test_the_crossing_design_has_its_exact_rates():
    """Sum .52 x 3 of 32 uniformly; a pair .06; one of 8 free features at .48 in all."""
    truth = WORLDS["interacting"]().truth
    base = 0.52 * 3 / 32
    assert_close(truth.rates, f64(*[base + 0.06] * 16, *[base] * 8, *[base + 0.06] * 8))
    assert truth.expected_l0 == pytest.approx(3.0)
    chance = 0.52 * 6 / (32 * 31)
    joint = truth.cofiring(torch.tensor([0, 1, 16, 17, 24, 25]))
    expected = f64(0, 0.06, 0, 0, 0.0075, 0.0075) + chance
    assert_close(joint[0, 1:], expected[1:])
    assert_close(joint[2, 3:], f64(chance, chance, chance))
    assert float(joint[4, 5]) == pytest.approx(chance)
    roles = pair_roles()
    assert [len(roles[r]) for r in ("interacting, frequent", "frequent only", "interacting, rare")] == [4, 4, 4]
    assert roles["interacting, rare"] == ((16, 17), (18, 19), (20, 21), (22, 23))
    paired = {pair for role, pairs in roles.items() if role != "neither" for pair in pairs}
    assert not paired & set(roles["neither"])


def test_products_add_their_targets_which_lie_outside_the_span():
    world = WORLDS["interacting"]()
    x, h, _ = figures(world)
    truth, products = world.truth, world.truth.products
    targets, v = products.targets.double(), truth.features.double()
    assert_close(targets @ targets.T, torch.eye(8).double(), atol=1e-6, rtol=0)
    assert float((targets @ v.T).abs().max()) < 1e-6
    i, j = products.members.T
    assert_close(x, h @ v + 1.5 * (h[:, i] * h[:, j]) @ targets, atol=1e-5, rtol=0)
    assert_close(products.gains, torch.full((8,), 1.5))
    error = x.std(0) / N**0.5
    assert bool(((x.mean(0) - truth.mean).abs() < 5 * error).all())
    assert float(truth.mean @ targets[0]) == pytest.approx(1.5 * (0.06 + 0.52 * 6 / 992) * 1.25**2)
    assert truth.covariance is None
    assert set(truth.open) == {"covariance"}


def test_triples_and_mixed_orders_are_padded_and_leave_the_mean_open():
    world = WORLDS["triples"]()
    x, h, _ = figures(world, 2000)
    products = world.truth.products
    term = torch.stack([h[:, list(group)].prod(1) for group in world.members], 1)
    assert float(term.max()) > 0
    assert_close(x, h @ world.truth.features.double() + 1.5 * term @ products.targets.double(), atol=1e-5, rtol=0)
    assert "mean" in world.truth.open
    mixed = S.Interactions(S.SparseMixture(n_true=4, d=9), ((0, 1), (1, 2, 3)))
    assert mixed.truth.products.members.tolist() == [[0, 1, -1], [1, 2, 3]]


@pytest.mark.parametrize("logic", ["and", "xor"])
def test_logic_of_binary_features_is_the_declared_polynomial(logic):
    world = WORLDS["logical"](logic)
    x, h, fires = figures(world)
    products, v = world.truth.products, world.truth.features.double()
    left, right = h[:, :8].view(-1, 4, 2).unbind(2)
    truth_table = (left + right == 2) if logic == "and" else (left != right)
    assert_close(x, h @ v + 1.5 * truth_table.double() @ products.targets.double(), atol=1e-5, rtol=0)
    linear = 0 if logic == "and" else 1.5 * (left + right)
    polynomial = linear + products.gains.double() * left * right
    assert_close(polynomial, 1.5 * truth_table.double())
    rate = {"and": 1 / 16, "xor": 6 / 16}[logic]
    assert_close(products.targets.double() @ world.truth.mean, torch.full((4,), 1.5 * rate).double())
    assert_close(fires.mean(0), world.truth.rates, atol=0.02, rtol=0)


def test_the_size_of_binary_features_enters_the_declared_gain():
    inner = S.SparseMixture(n_true=4, d=8, directions=S.Orthonormal(), magnitudes=S.ConstantMagnitude(2.0))
    gains = {logic: S.Interactions(inner, ((0, 1),), 3.0, logic).truth.products.gains for logic in ("and", "xor")}
    assert {logic: gain.tolist() for logic, gain in gains.items()} == {"and": [0.75], "xor": [-1.5]}


def test_a_shared_gain_enters_the_mean_of_products_squared():
    firing, magnitudes = S.Independent(S.Constant(0.5)), S.SharedGain(S.ConstantMagnitude(1.0), 0.5)
    inner = S.SparseMixture(n_true=2, d=3, directions=S.Orthonormal(), firing=firing, magnitudes=magnitudes)
    world = S.Interactions(inner, ((0, 1),))
    x, _, _ = figures(world)
    assert float(world.truth.mean @ world.truth.products.targets[0].double()) == pytest.approx(0.25 * 1.2840254)
    assert bool(((x.mean(0) - world.truth.mean).abs() < 5 * x.std(0) / N**0.5).all())


def test_logic_of_varying_magnitudes_is_no_polynomial():
    inner = S.SparseMixture(n_true=4, d=8, magnitudes=S.Uniform())
    assert S.Interactions(inner, ((0, 1),), logic="and").truth.products is None


def test_targets_may_lie_inside_the_span():
    inner = S.SparseMixture(n_true=4, d=8, directions=S.Orthonormal())
    world = S.Interactions(inner, ((0, 1), (2, 3)), targets="inside")
    targets, v = world.truth.products.targets, world.truth.features
    assert_close((targets @ v.T).norm(dim=1), torch.ones(2))


# --- neurons ---------------------------------------------------------------------------------------------------------


def test_factors_have_neurons_of_their_own():
    truth = WORLDS["disjoint_factors"]().truth
    used = truth.features != 0
    assert bool((used.sum(1) == 10).all())
    assert int(used.any(0).sum()) == 120
    assert truth.levels.tolist() == list(range(12))
    _, h, _ = figures(WORLDS["disjoint_factors"](), 500)
    assert bool((h >= 0).all())


def test_leaves_share_the_core_of_their_family_alone():
    world = WORLDS["core_exclusive"]()
    v = world.truth.features.double()
    used = (v != 0).double()
    shared = used @ used.T
    family = world.truth.levels
    same = family[:, None] == family
    assert_close(shared, torch.where(same, 12.0, 0.0).double().fill_diagonal_(18))
    cores = world.directions.cores(v)
    assert bool(((cores != 0).sum(1) == 12).all())
    part = v[:4] * (cores[0] != 0)
    assert_close(part / part.norm(dim=1, keepdim=True), cores[:1].expand(4, -1))
    assert float((cores @ cores.T).fill_diagonal_(0).abs().max()) == 0
    assert int((used.sum(0) == 0).sum()) == 16
    assert torch.equal(family, world.directions.family())


def test_families_may_overlap_and_leaves_oppose_each_other():
    v = WORLDS["core_exclusive"](overlap=3).truth.features
    used = (v != 0).float()
    assert (used @ used.T)[0, [1, 4, 8]].tolist() == [12, 3, 0]
    world = WORLDS["core_exclusive"](opposed=True, d=100)
    v = world.truth.features.double()
    core = (v[:4] != 0).all(0) & (v[:4].sign().sum(0).abs() == 4)
    own = v[:4] * ~core
    assert_close(own[0], -own[1])
    assert float((own[0] * own[2]).abs().max()) == 0
    assert bool(((world.directions.cores(v) != 0).sum(1) == 12).all())
    twins = WORLDS["core_exclusive"](leaves=2, opposed=True)
    v = twins.truth.features.double().view(4, 2, -1)
    assert_close(twins.directions.cores(v.flatten(0, 1)), v.sum(1) / v.sum(1).norm(dim=1, keepdim=True))
    assert bool(((twins.directions.cores(v.flatten(0, 1)) != 0).sum(1) == 12).all())


def test_neurons_respond_to_a_feature_alone_as_declared():
    world = WORLDS["nonlinear"](n_true=5, d=4, width=30, rate=0.1, bias_norm=1.0)
    world = replace(world, inner=replace(world.inner, magnitudes=S.ConstantMagnitude(1.5)))
    x, h, fires = figures(world, 2000)
    truth = world.truth
    assert_close(x[fires.sum(1) == 0][0], truth.bias.double(), atol=1e-5, rtol=0)
    for feature in range(5):
        alone = x[(fires.sum(1) == 1) & (fires[:, feature] == 1)][0]
        response = alone - truth.bias.double()
        assert_close(response, world.responses[feature], atol=1e-5, rtol=0)
        assert_close(response / response.norm(), truth.features[feature].double(), atol=1e-5, rtol=0)
    linear = h @ world.responses + truth.bias.double()
    assert float((x - linear).abs().max()) > 0.1  # not a linear world
    assert truth.features.shape == (5, 30)
    assert bool(truth.mean.isnan().all())
    assert world.d == 30


def test_a_common_mean_dominates_signed_codes():
    x, h, _ = figures(WORLDS["offset"](norm=5.0), 2000)
    assert float(h.min()) < 0
    direction = WORLDS["offset"](norm=5.0).truth.bias.double()
    assert bool((x @ direction > 0).all())
    centred, _, _ = figures(WORLDS["offset"](norm=0.0), 2000)
    assert float(centred.mean(0).norm()) < 0.3


# --- subspaces -------------------------------------------------------------------------------------------------------


def test_circles_are_circles():
    world = WORLDS["circles"]()
    x, h, fires = figures(world)
    radius = h.view(-1, 8, 2).norm(dim=2)
    on = fires.view(-1, 8, 2).sum(2) == 2
    assert bool((on.sum(1) == 2).all())
    assert_close(radius[on], torch.ones(int(on.sum())).double(), atol=1e-6, rtol=0)
    frames = world.truth.features.view(8, 2, 12)
    assert_close(frames @ frames.mT, torch.eye(2).expand(8, 2, 2), atol=1e-6, rtol=0)
    assert_close(x.norm(dim=1)[:5], (h @ world.truth.features.double()).norm(dim=1)[:5], atol=1e-5, rtol=0)
    assert world.truth.subspaces.tolist() == [i // 2 for i in range(16)]
    assert float(world.truth.covariance.trace()) == pytest.approx(2.0)
    angle = torch.atan2(h[:, 1], h[:, 0])[on[:, 0]]
    for frequency in (1, 2, 4):  # uniform: no harmonic
        assert float((frequency * angle).cos().mean().abs()) < 5 * (2 * len(angle)) ** -0.5


def test_the_radius_is_that_of_a_groups_first_axis():
    firing, radius = S.Subspaces(2, 2), S.Normal((1.0, 9.0, 2.0, 9.0, 3.0, 9.0), 0.0)
    world = S.SparseMixture(n_true=6, d=6, directions=S.Orthonormal(), firing=firing, magnitudes=radius)
    _, h, fires = figures(world)
    radius = h.view(-1, 3, 2).norm(dim=2).max(0).values
    assert_close(radius, f64(1, 2, 3), atol=1e-6, rtol=0)
    v = world.truth.features.double()
    squares = (v @ world.truth.covariance @ v.T).diagonal()
    assert_close(squares, f64(1, 1, 4, 4, 9, 9) / 3, atol=1e-6, rtol=1e-6)
    assert_close(fires.mean(0), world.truth.rates, atol=0.02, rtol=0)


# --- kept on disk, known by name -------------------------------------------------------------------------------------

MAKERS = {name: make for name, make in WORLDS.items() if not name.startswith("synthsaebench")}


@pytest.mark.parametrize("name", MAKERS)
def test_a_saved_world_comes_back_with_the_same_bits(name, tmp_path):
    world = MAKERS[name](seed=3)
    back = S.load_world(S.save_world(world, tmp_path / "world"))
    assert back == world
    assert torch.equal(back.sample(9, S.stream(2, "t")).x, world.sample(9, S.stream(2, "t")).x)
    assert torch.equal(back.truth.features, world.truth.features)
    if isinstance(world, S.Interactions | S.Nonlinear):
        assert all(torch.equal(back.inner.tensors[key], world.inner.tensors[key]) for key in world.inner.tensors)


@pytest.mark.parametrize("name", MAKERS)
def test_worlds_of_two_seeds_differ_and_are_worlds(name):
    one, other = (MAKERS[name](seed=seed) for seed in (0, 1))
    assert isinstance(one, S.World)
    drawn = one.sample(3, S.stream(0, "t"))
    assert one.d == drawn.x.shape[1]
    assert one.truth.d == targets_of(drawn).shape[1]
    assert not torch.equal(one.truth.features, other.truth.features)


FRESH = """
import os, sys
import torch, synthetic
for folder in sys.argv[1:]:
    if not (child := os.fork()):
        print(type(synthetic.load_world(folder)).__name__, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_a_fresh_process_loads_one(tmp_path):
    """Of each kind, in a process that has loaded none before."""
    made = {
        str(S.save_world(world, tmp_path / name)): type(world).__name__
        for name in ("interacting", "planted", "planted_attention", "concept_posteriors", "interventions")
        for world in [WORLDS[name]()]
    }
    got = subprocess.run([sys.executable, "-c", FRESH, *made], capture_output=True, text=True, check=True)
    assert got.stdout.split() == [*made.values()]
