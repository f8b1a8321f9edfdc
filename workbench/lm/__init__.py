"""Language models: loading, hook points, text, activations on disk, fidelity."""
