"""SAEs of attention outputs: which heads a latent reads and writes."""
