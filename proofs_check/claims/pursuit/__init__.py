"""Claims of greedy pursuit."""
