"""Training: one plain loop, and what it can switch on."""
