"""Bias adaptation: latents steered to firing rates."""
