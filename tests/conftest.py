"""Hypothesis profiles, chosen by HYPOTHESIS_PROFILE; one thread, so that sums and times repeat."""

import os

import torch
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, database=None, max_examples=25)
settings.register_profile("nightly", deadline=None, max_examples=20 * 25)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
torch.set_num_threads(1)
