"""Polynomial decoders of shared low rank: Koromilas et al. (2026), arXiv 2602.01322, re-derived and measured."""
