"""Matching pursuit and OMP against what is proved of them, plain loops, and each other; the variants built on them."""

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
from workbench import TrainConfig, create, train
from workbench.parts import pursuit
from workbench.parts.pursuit import REASONS, best, clear_picks, matching_pursuit, orthogonal_matching_pursuit

rng = S.stream(0, "tests/pursuit")
_START = rng.get_state()
RULES = ("abs", "relu", "max")


@pytest.fixture(autouse=True)
def _same_draws_whichever_tests_run():
    rng.set_state(_START)


def normal(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=rng, dtype=dtype)


def atoms(*shape, norm=1.0, dtype=torch.float64):
    rows = normal(*shape, dtype=dtype)
    return norm * rows / rows.norm(dim=-1, keepdim=True)


def identity_and_hadamard(d=64):
    """2 d unit rows of coherence 1 / sqrt(d)."""
    sign = torch.ones(1, 1, dtype=torch.float64)
    while len(sign) < d:
        sign = torch.cat((torch.cat((sign, sign), 1), torch.cat((sign, -sign), 1)))
    return torch.cat((torch.eye(d, dtype=torch.float64), sign / d**0.5))


def supported(rows, k, n, flat):
    """n signed combinations of k rows, and their codes; magnitudes 1 or uniform in [.2, 1]."""
    h = torch.zeros(n, len(rows), dtype=rows.dtype)
    places = torch.rand(n, len(rows), generator=rng).argsort(-1)[:, :k]
    size = torch.ones(n, k, dtype=rows.dtype) if flat else 0.2 + 0.8 * torch.rand(n, k, generator=rng).double()
    h.scatter_(1, places, size * torch.randint(0, 2, (n, k), generator=rng).mul(2).sub(1))
    return h @ rows, h


def plain_pursuit(x, rows, steps, select):
    """One row and step at a time: dense codes, and residuals before and after each step."""
    f, r, residuals = torch.zeros(len(x), len(rows), dtype=x.dtype), x.clone(), [x.clone()]
    for _ in range(steps):
        for i in range(len(x)):
            c = rows @ r[i]
            j = int((c.abs() if select == "abs" else c).argmax())
            a = c[j].relu() if select == "relu" else c[j]
            f[i, j] += a
            r[i] -= a * rows[j]
        residuals.append(r.clone())
    return f, torch.stack(residuals)


# --- matching pursuit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [0.9, 1.0, 1.3])
@pytest.mark.parametrize("select", RULES)
def test_both_paths_equal_a_plain_loop(select, norm):
    x, rows = normal(20, 8), atoms(30, 8, norm=norm)
    wanted, residuals = plain_pursuit(x, rows, 40, select)
    for gram in (None, rows @ rows.T):
        path = matching_pursuit(x, rows, 40, select=select, gram=gram)
        assert_close(path.codes(30).dense(), wanted)
        assert_close(path.residual, residuals[-1])
        assert_close(path.codes(30).dense() @ rows + path.residual, x)


@pytest.mark.parametrize(("norm", "rises"), [(0.8, False), (1.0, False), (1.5, True)])
def test_energy_falls_by_the_square_of_the_increment_times_two_less_the_norm_squared(norm, rises):
    x, rows = normal(50, 8), atoms(30, 8, norm=norm)
    short, long = matching_pursuit(x, rows, 6), matching_pursuit(x, rows, 7)
    before, after = (path.residual.square().sum(-1) for path in (short, long))
    assert_close(after, before - long.values[:, 6].square() * (2 - norm**2))
    assert bool((after > before).all()) is rises
    if norm == 1:
        assert_close(long.values.square().sum(-1) + after, x.square().sum(-1))


def test_a_step_leaves_the_residual_orthogonal_to_its_atom_only_if_that_is_unit():
    x = normal(50, 8)
    for norm in (1.0, 0.9):
        rows = atoms(30, 8, norm=norm)
        path = matching_pursuit(x, rows, 5)
        last = rows[path.indices[:, -1]]
        got = (last * path.residual).sum(-1)
        assert_close(got, path.values[:, -1] * (1 - norm**2), atol=1e-12, rtol=1e-9)


def test_relu_stalls_inside_the_cone_where_abs_converges():
    rows, e = torch.tensor([[1.0, 0.0], [0.5, 3**0.5 / 2]], dtype=torch.float64), 0.3
    x = (rows[0] + e * rows[1])[None]
    relu = matching_pursuit(x, rows, 60, select="relu")
    assert_close(relu.codes(2).dense(), torch.tensor([[1 + e / 2, 0.75 * e]]).double())
    assert_close(float(relu.residual.norm()), 3**0.5 / 4 * e)
    assert (REASONS[int(relu.stopped)], int(relu.steps)) == ("nothing left", 2)
    assert_close(matching_pursuit(x, rows, 60).codes(2).dense(), torch.tensor([[1.0, e]]).double())
    assert float(matching_pursuit(-rows[:1], rows[:1], 1, select="relu").values.abs().max()) == 0


def test_rows_stop_one_by_one_and_say_why():
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    x = torch.tensor([[1.0, 0.0], [1.0, 0.3], [0.0, 0.0]])
    for gram in (None, rows @ rows.T):
        path = matching_pursuit(x, rows, 20, tol=1e-3, gram=gram)
        assert [REASONS[i] for i in path.stopped.tolist()] == ["tolerance", "tolerance", "nothing left"]
        assert path.steps.tolist()[::2] == [1, 0]
        assert path.steps[1] > 3
        assert path.residual.norm(dim=-1).max() < 1e-3
        by_number = matching_pursuit(x, rows, 3, gram=gram)
        assert [REASONS[i] for i in by_number.stopped.tolist()] == ["nothing left", "steps", "nothing left"]
        assert by_number.steps.tolist() == [1, 3, 0]


def test_the_authors_stop_is_the_first_repeat_and_far_from_the_end():
    x, rows = normal(200, 16), atoms(64, 16)
    for gram in (None, rows @ rows.T):
        path = matching_pursuit(x, rows, 60, stop_on_repeat=True, gram=gram)
        for picked, steps in zip(path.indices.tolist(), path.steps.tolist(), strict=True):
            assert len(set(picked[: steps - 1])) == steps - 1
            assert picked[steps - 1] in picked[: steps - 1]
        assert {REASONS[i] for i in path.stopped.tolist()} == {"repeat"}
        assert bool((path.codes(64).values.count_nonzero(-1) == path.steps - 1).all())
        left = (path.residual.square().sum(-1) / x.square().sum(-1)).median()
        on = matching_pursuit(x, rows, 200, gram=gram).residual.square().sum(-1) / x.square().sum(-1)
        assert left > 1e-3 > 1e-6 > on.median()


def test_gradient_is_that_of_the_products_of_projections():
    x, rows = normal(6, 5).requires_grad_(), atoms(9, 5).requires_grad_()
    path = matching_pursuit(x, rows, 4)
    path.residual.square().sum().backward()
    by_hand, g, r = torch.zeros_like(rows), 2 * path.residual.detach(), path.residual.detach()
    with torch.no_grad():
        for t in range(3, -1, -1):
            j, a = path.indices[:, t], path.values[:, t, None].detach()
            w = rows[j]
            r, along = r + a * w, (g * w).sum(-1, keepdim=True)
            by_hand.index_add_(0, j, -a * g - along * r)
            g = g - along * w
    assert_close(rows.grad, by_hand)
    assert_close(x.grad, g)
    assert float((by_hand + 2 * path.codes(9).dense().detach().T @ path.residual.detach()).norm()) > 0.1


def test_codes_carry_the_same_gradient_through_the_decoder():
    x, rows = normal(6, 5), atoms(9, 5).requires_grad_()
    path = matching_pursuit(x, rows, 12)  # repeats, so slots are merged
    codes = path.codes(9)
    assert int((codes.values != 0).sum()) < path.values.numel()
    (residual,) = torch.autograd.grad(path.residual.square().sum(), rows, retain_graph=True)
    (decoded,) = torch.autograd.grad((x - codes.dense() @ rows).square().sum(), rows)
    assert_close(decoded, residual)


@pytest.mark.parametrize("stack", [(3,), (2, 3)])
def test_a_member_of_a_stack_is_what_it_is_alone(stack):
    rows = atoms(*stack, 20, 6)
    for x in (normal(11, 6), normal(*stack, 11, 6)):
        steps = torch.randint(1, 7, stack, generator=rng)
        many = matching_pursuit(x, rows, steps, select="abs"), matching_pursuit(x, rows, steps, gram=rows @ rows.mT)
        best_of_all = orthogonal_matching_pursuit(x, rows, steps)
        for at in torch.cartesian_prod(*map(torch.arange, stack)).reshape(-1, len(stack)).tolist():
            one, own = tuple(at), x if x.ndim == 2 else x[tuple(at)]
            alone = matching_pursuit(own, rows[one], int(steps[one]))
            for path in many:
                assert_close(path.codes(20).dense()[one], alone.codes(20).dense())
                assert path.steps[one].tolist() == alone.steps.tolist()
            alone = orthogonal_matching_pursuit(own, rows[one], int(steps[one]))
            assert_close(best_of_all.codes(20).dense()[one], alone.codes(20).dense())


def test_gram_rows_give_the_residuals_picks_in_float32_and_over_blocks(monkeypatch):
    monkeypatch.setattr(pursuit, "BLOCK", 7 * 512)
    x, rows = normal(50, 64, dtype=torch.float32), atoms(512, 64, dtype=torch.float32)
    plain, quick = matching_pursuit(x, rows, 40), matching_pursuit(x, rows, 40, gram=rows @ rows.T)
    assert torch.equal(plain.indices, quick.indices)
    assert_close(quick.values, plain.values, atol=1e-5, rtol=0)
    assert_close(quick.residual, plain.residual, atol=1e-5, rtol=0)


def test_rows_with_a_tie_at_any_step_are_not_clear():
    rows = torch.eye(3, dtype=torch.float64)
    x = torch.tensor([[3.0, 2, 1], [3.0, -3, 1], [3.0, 1, 1 + 1e-7], [3.0, 1, 1.1]], dtype=torch.float64)
    assert clear_picks(x, rows, 2).tolist() == [True, False, False, True]
    assert clear_picks(x, rows, 1).tolist() == [True, False, True, True]


def test_the_first_of_equal_entries_is_taken():
    c = torch.tensor([[1.0, 3, -3, 3], [0, -2, 2, 1], [-5, -4, -3, -3]])
    assert [part.tolist() for part in best(c, signed=False)] == [[1, 1, 0], [3, -2, -5]]
    assert [part.tolist() for part in best(c, signed=True)] == [[1, 2, 2], [3, 2, -3]]
    low = c.bfloat16()
    assert best(low, signed=False)[0].tolist() == [1, 1, 0]


# --- orthogonal matching pursuit -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_omp_is_least_squares_on_what_it_picked(dtype, atol):
    x, rows = normal(40, 12, dtype=dtype), atoms(30, 12, norm=2.0, dtype=dtype)
    path = orthogonal_matching_pursuit(x, rows, 7)
    mp = matching_pursuit(x, rows, 7)
    for i in range(40):
        own = rows[path.indices[i]]
        assert len(set(path.indices[i].tolist())) == 7
        assert_close(path.values[i], torch.linalg.lstsq(own.T, x[i][:, None]).solution.squeeze(1), atol=atol, rtol=1e-4)
        assert float((own @ path.residual[i]).abs().max()) < atol
    assert_close(path.codes(30).dense() @ rows + path.residual, x, atol=atol, rtol=1e-4)
    early = matching_pursuit(x, rows / 2, 7)
    first = (rows[early.indices[:, 0]] * early.residual).sum(-1).abs()
    assert float(first.max()) > 0.1  # pursuit keeps the last atom orthogonal, not the first
    assert mp.residual.norm() > path.residual.norm()


def test_omp_stays_orthogonal_to_nearly_parallel_atoms():
    rows = torch.ones(12, 64) + 2e-3 * normal(12, 64, dtype=torch.float32)
    rows = rows / rows.norm(dim=1, keepdim=True)
    x = normal(30, 64, dtype=torch.float32)
    path = orthogonal_matching_pursuit(x, rows, 10)
    assert int(path.steps.min()) == 10
    own = torch.stack([rows[picked] for picked in path.indices])
    assert float((own @ path.residual[..., None]).abs().max()) < 5e-6


@pytest.mark.parametrize("flat", [True, False])
def test_supports_are_found_below_the_bound_by_abs_and_not_by_relu(flat):
    rows = identity_and_hadamard(64)
    mu = float((rows @ rows.T - torch.eye(128)).abs().max())
    most = 4  # k < (1 + 1/mu) / 2 = 4.5
    assert mu == pytest.approx(1 / 8)
    assert most < (1 + 1 / mu) / 2 < most + 1
    for k in range(1, most + 1):
        x, h = supported(rows, k, 300, flat)
        found = orthogonal_matching_pursuit(x, rows, 2 * k)
        assert_close(found.codes(128).dense(), h)
        assert set(found.stopped.tolist()) == {3}
        picked = matching_pursuit(x, rows, 30, tol=1e-9).codes(128).dense()
        assert bool(((picked.abs() > 1e-6) == (h != 0)).all())
    x, h = supported(rows, 4, 300, flat)
    wrong = matching_pursuit(h.abs() @ rows, rows, 30, select="relu", tol=1e-9).codes(128).dense()
    outside = ((wrong != 0) & (h == 0)).any(-1).double().mean()
    assert outside > 0.5
    positive = orthogonal_matching_pursuit(h.abs() @ rows, rows, 4, select="positive")
    assert_close(positive.codes(128).dense(), h.abs())


def test_beyond_the_bound_omp_fails():
    rows = identity_and_hadamard(64)
    h = torch.zeros(1, 128, dtype=torch.float64)
    h[0, 1:64:8] = 1.0  # at these spikes the four waves are negative, at spike 0 all of them are positive
    h[0, 65:72:2] = 1.1
    path = orthogonal_matching_pursuit(h @ rows, rows, 12)
    assert h[0, path.indices[0, 0]] == 0


def test_omp_stops_where_nothing_is_left_or_atoms_depend():
    rows = torch.eye(3, dtype=torch.float64)
    rows = torch.cat((rows, rows[:1]))
    path = orthogonal_matching_pursuit(torch.tensor([[2.0, 1.0, 0.0]]).double(), rows, 4)
    assert_close(path.codes(4).dense(), torch.tensor([[2.0, 1, 0, 0]]).double())
    assert (int(path.steps), REASONS[int(path.stopped)]) == (2, "nothing left")
    near = torch.tensor([[1.0, 0, 0], [1.0, 1e-10, 0]]).double()
    path = orthogonal_matching_pursuit(torch.tensor([[1.0, 1.0, 0.0]]).double(), near, 2)
    assert (int(path.steps), REASONS[int(path.stopped)]) == (1, "dependent")
    path = orthogonal_matching_pursuit(torch.tensor([[3.0, 4.0, 0.1]]).double(), torch.eye(3).double(), 3, tol=0.2)
    assert (int(path.steps), REASONS[int(path.stopped)]) == (2, "tolerance")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 0}, "matching_pursuit.steps must be at least 1; got 0: raise it"),
        ({"tol": -1.0}, "matching_pursuit.tol must be at least 0"),
    ],
)
def test_refusals(settings, words):
    own = {"x": normal(2, 3), "rows": atoms(4, 3), "steps": 2} | settings
    with pytest.raises(ValueError, match=words):
        matching_pursuit(own.pop("x"), own.pop("rows"), own.pop("steps"), **own)


# --- variants --------------------------------------------------------------------------------------------------------

_WORLD = S.SparseMixture(n_true=20, d=16, firing=S.ExactlyK(2))
_SHORT = TrainConfig(steps=20, batch=64, lr=1e-2)


def test_the_gram_matrix_follows_the_weights():
    sae, x = create("matching_pursuit", 16, 40, seed=[0, 1]), _WORLD.sample(200, S.stream(1, "x")).x
    for _ in range(2):
        train(sae, _WORLD, _SHORT)
        with torch.no_grad():
            quick = sae.encode(x)
        kept = sae.encoder._gram
        assert kept is not None
        assert_close(kept[1], sae.W_dec.detach() @ sae.W_dec.detach().mT)
        assert_close(quick, sae.encode(x).detach(), atol=1e-5, rtol=0)  # with gradient: by residuals


def test_more_steps_at_inference_go_on_where_fewer_stopped():
    sae, x = create("matching_pursuit", 16, 40, k=3), _WORLD.sample(200, S.stream(1, "x")).x
    train(sae, _WORLD, _SHORT)
    with torch.no_grad():
        error, before = [], sae.encode(x)
        for steps in (1, 2, 3, 6, 12):
            sae.encoder.steps = steps
            error.append(float((sae(x) - x).square().sum()))
            if steps == 3:
                assert_close(sae.encode(x), before)
        assert error == sorted(error, reverse=True)
        assert error[-1] < error[0] / 5
        sae.encoder.steps = 12
        assert int((sae.train().trace(x).dense() != 0).sum(-1).max()) <= 3


def test_lista_starts_as_ista_on_its_own_loss():
    sae = create("lista", 16, 40, steps=[1, 2, 4, 8, 3000], l1=0.5, signed=True).double()
    x, W = normal(50, 16), sae.W_dec.detach()
    with torch.no_grad():
        out = sae.trace(x)
        total = torch.stack(list(sae.loss(out).values())).sum(0)
    assert bool((total.diff() < 0).all())
    assert_close(sae.tensor("largest"), torch.linalg.eigvalsh(W.mT @ W)[..., -1], rtol=1e-2, atol=0)
    f, left = out.dense()[-1], (x - out.x_hat[-1]) @ W[-1].T  # optimality of the lasso
    assert float((left.abs() - 0.25).max()) < 1e-3
    assert_close(left[f.abs() > 1e-2], 0.25 * f[f.abs() > 1e-2].sign(), atol=1e-3, rtol=0)
    assert float(create("lista", 16, 40).double().trace(x).dense().detach().min()) == 0


@pytest.mark.parametrize(
    ("variant", "settings", "words"),
    [
        ("matching_pursuit", {"k": 0}, "matching_pursuit.k must be at least 1; got 0: raise it"),
        ("matching_pursuit", {"tol": -0.1}, "matching_pursuit.tol must be at least 0"),
        ("matching_pursuit", {"tol": [0.1, 0.2]}, "the same for all members"),
        ("matching_pursuit", {"select": "omp"}, "select"),
        ("omp", {"k": 9}, r"omp.k must be in \[1, m=8\]; got 9: lower k or raise m"),
        ("lista", {"step": 2.1}, r"lista.step must be in \(0, 2\]"),
        ("lista", {"steps": 0}, "lista.steps must be at least 1"),
        ("lista", {"l1": 0.0}, "lista.l1 must be above 0"),
    ],
)
def test_impossible_settings_are_refused(variant, settings, words):
    with pytest.raises(ValueError, match=words):
        create(variant, 4, 8, **settings)
