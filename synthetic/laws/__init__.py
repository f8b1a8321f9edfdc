"""What a mixture is made of: rates, firing, magnitudes, directions, noise."""
