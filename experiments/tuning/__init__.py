"""What training does by itself, taken apart and compared."""
