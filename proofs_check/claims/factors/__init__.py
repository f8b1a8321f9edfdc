"""Semi-nonnegative factorisation: Shafran et al. (2025), arXiv 2506.10920, what its method guarantees and what not."""
