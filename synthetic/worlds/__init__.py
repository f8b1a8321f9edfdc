"""Named worlds."""
