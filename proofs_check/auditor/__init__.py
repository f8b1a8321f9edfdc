"""Theory read off a checkpoint."""
