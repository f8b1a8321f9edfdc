"""Claims on SAEs of attention outputs."""
