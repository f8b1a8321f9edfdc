"""The contract of a metric catches what it is for."""

import pytest
import torch

from workbench.check_metric import check_metric
from workbench.metrics import METRICS, Metric

LAWS = {f"M{i}" for i in range(1, 10)}


def judged(measure, best=None):
    """Laws that do not hold for a metric on the shelf."""
    metric = Metric(
        ("score",), "A score of a test.", best or {}, measure, lambda evidence: evidence.on_world is not None
    )
    METRICS.append(metric)
    try:
        return {outcome.law.split()[0] for outcome in check_metric(metric) if not outcome.passed}
    finally:
        METRICS.remove(metric)


@pytest.mark.parametrize("kind", METRICS, ids=lambda kind: kind.names[0])
def test_metrics_of_the_shelf_keep_it(kind):
    assert not [outcome for outcome in check_metric(kind) if not outcome.passed]


@pytest.mark.parametrize(
    ("measure", "broken"),
    [
        (lambda e: {"score": e.fvu}, set()),
        (lambda e: {"score": float(e.geometry.cosine_of[0])}, {"M7"}),
        (lambda e: {"score": float(e.fires[0])}, {"M6"}),
        (lambda e: {"score": float(e.index)}, {"M5"}),
        (lambda e: {"score": float(e.decoder.norm())}, {"M8"}),
        (lambda e: {"score": float(e.first.x[0].norm() / e.first.x.norm())}, {"M9"}),
        (lambda e: {"score": float(torch.rand(()))}, {"M5", "M6", "M7", "M8", "M9"}),
        (lambda e: {"score": float("nan")}, {"M2", "M3"}),
        (lambda e: {"other": 1.0}, LAWS - {"M4"}),
    ],
)
def test_a_metric_that_reads_what_it_must_not_is_caught(measure, broken):
    assert judged(measure) == broken


def test_a_wrong_best_value_is_caught():
    assert judged(lambda e: {"score": e.fvu}, best={"score": 0.5}) == {"M4"}
