"""Norms of codes and activations: approximate feature activation (AFA), its bounds and the top-AFA rule."""
