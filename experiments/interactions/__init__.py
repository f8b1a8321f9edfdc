"""Features that interact, and polynomial decoders."""
