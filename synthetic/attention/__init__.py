"""A planted attention layer."""
