"""Latent discrete concept models and the activations of their perfect predictors."""

from synthetic.concepts import world

__all__ = ["world"]
