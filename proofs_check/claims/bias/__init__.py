"""Feature recovery by adapted biases: Chen et al. (2025), arXiv 2506.14002, what it states and what holds."""
