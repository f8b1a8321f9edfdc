"""Hypothesis profiles, chosen by HYPOTHESIS_PROFILE; one thread, so that sums and times repeat."""

import os

import pytest
import torch
import typed  # noqa: F401
from hypothesis import settings

from synthetic.base import storage
from synthetic.worlds import WORLDS
from workbench.metrics import METRICS
from workbench.parts.objectives import OBJECTIVES
from workbench.variants import VARIANTS

settings.register_profile("ci", derandomize=True, deadline=None, database=None, max_examples=25)
settings.register_profile("nightly", deadline=None, max_examples=20 * 25)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def shelves_as_they_were():
    """What a test puts on a shelf, as plug-ins do, is gone with it: others go over all that is there."""
    held = (VARIANTS, OBJECTIVES, WORLDS._things, storage._KNOBS)
    before, metrics = [dict(shelf) for shelf in held], list(METRICS)
    yield
    for shelf, things in zip(held, before, strict=True):
        shelf.clear()
        shelf.update(things)
    METRICS[:] = metrics
