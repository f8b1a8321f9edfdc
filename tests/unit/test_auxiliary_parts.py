"""Parts of later SAEs against the formulas that the chapter `auxiliary` of the ledger is about."""

import pytest
import torch
from torch.testing import assert_close

import synthetic as S
import workbench as W
from synthetic.source import Codes
from workbench.parts.objectives import Hierarchical
from workbench.parts.selections import GroupMax
from workbench.sae import Stack
from workbench.theory import auxiliary as theory


def drawn(*shape, name="rows"):
    return torch.randn(*shape, generator=S.stream(0, f"tests/auxiliary_parts/{name}"), dtype=torch.float64)


def dense(latents):
    return latents.dense() if isinstance(latents, Codes) else latents


def test_group_max_is_the_formula_of_what_is_rectified():
    pre = torch.cat((drawn(20, 12), -drawn(5, 12).abs(), torch.ones(1, 12, dtype=torch.float64)))
    f = dense(GroupMax(Stack("x", 2, 12), k=3)(pre))
    wanted = [theory.group_max(row, 3) for row in pre.relu().tolist()]
    assert_close(f, torch.tensor(wanted, dtype=torch.float64))


def test_the_orthogonality_term_is_the_formula():
    rows = drawn(7, 3)
    sae = W.create("ortsae", 3, 7, k=1.0, weight=2.0).double()
    with torch.no_grad():
        sae.W_dec.copy_(rows)
    unit = rows / rows.norm(dim=-1, keepdim=True)
    term = sae.loss(sae.trace(drawn(2, 3)))["orthogonal"]
    assert float(term.detach()) == pytest.approx(2 * theory.orthogonality_penalty((unit @ unit.T).tolist()))


def test_the_hierarchical_loss_is_the_mean_of_the_prefixes_errors():
    sae = W.create("topk", 4, 6, k=3).double()
    with torch.no_grad():
        sae.W_dec.copy_(drawn(6, 4))
        sae.b_dec.copy_(drawn(4, name="bias"))
    out = sae.trace(drawn(5, 4, name="x"))
    x, rows = out.x - sae.b_dec, sae.W_dec.tolist()
    errors = []
    for sample, f in zip(x.tolist(), out.dense().detach(), strict=True):
        order = f.abs().argsort(descending=True, stable=True)[:3]
        made = theory.prefix_errors(f[order].tolist(), sample, [rows[i] for i in order.tolist()])
        errors.append(sum(made[1:]) / 3)
    assert float(Hierarchical(Stack("x", 4, 6), k=3)(out)) == pytest.approx(sum(errors) / 5)


def test_aligned_columns_and_lone_latents_are_the_formula():
    sae = W.create("aligned", 3, 4, k=1).double()
    rows, free, x = drawn(4, 3), drawn(4, 3, name="free"), drawn(6, 3, name="x")
    with torch.no_grad():
        sae.W_dec.copy_(rows)
        sae.encoder.W_enc.copy_(free.T)
    encoder = [theory.aligned(u, d) for u, d in zip(free.tolist(), rows.tolist(), strict=True)]
    assert_close(sae.W_enc.detach().T, torch.tensor(encoder, dtype=torch.float64))
    f = sae.encode(x).detach()
    assert bool((f != 0).any())
    for sample, codes, x_hat in zip(x.tolist(), f, sae(x).detach(), strict=True):
        i = int(codes.argmax())
        made = theory.alone(sample, encoder[i], rows[i].tolist())
        assert_close(x_hat, torch.tensor(made, dtype=torch.float64))


def test_the_part_beside_codes_is_a_map_of_low_rank_and_no_better_than_the_floor():
    sae = W.create("structured", 4, 6, rank=2, reading="residual").double()
    with torch.no_grad():
        sae.b_dec.zero_()
    x = drawn(20, 4, name="x")
    out = sae.trace(x)
    beside, left = out.coded.beside.detach(), (x - out.dense().detach() @ sae.W_dec.detach())
    assert torch.linalg.matrix_rank(beside) == 2
    fitted = x @ torch.linalg.lstsq(x, left, driver="gelsd").solution
    squares = torch.linalg.svdvals(fitted).square().tolist()
    error = float((left - beside).square().sum())
    assert float((x - out.x_hat.detach()).square().sum()) == pytest.approx(error)
    assert error >= theory.dense_floor(float(left.square().sum()), squares, 2)
    _, _, right = torch.linalg.svd(fitted, full_matrices=False)
    with torch.no_grad():  # the best map of that rank reaches it
        sae.encoder.P.copy_(torch.linalg.lstsq(x, left, driver="gelsd").solution @ right[:2].T)
        sae.encoder.Q.copy_(right[:2])
    best = float((x - sae.trace(x).x_hat.detach()).square().sum())
    assert best == pytest.approx(theory.dense_floor(float(left.square().sum()), squares, 2))
