"""Latent discrete concept models and the activations of their perfect predictors."""
