"""Groups of neurons and semi-nonnegative factorisation."""
