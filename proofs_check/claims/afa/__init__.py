"""Norms of activations and of their codes: Lee et al. (2025), arXiv 2503.24277, re-derived and tightened."""
