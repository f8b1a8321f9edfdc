"""Latent discrete concepts: what a perfect predictor's activations say of them."""
