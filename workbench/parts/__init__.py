"""What variants are made of."""
