"""Dictionaries by the methods before SAEs, which an SAE has to beat; all are scored with the same inference."""

from workbench.topics.classical import alternating, borrowed
from workbench.topics.classical.shelf import LEARNERS, fit, learner, must_have

__all__ = ["LEARNERS", "alternating", "borrowed", "fit", "learner", "must_have"]
