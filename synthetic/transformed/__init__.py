"""Worlds made of another world: its samples changed."""
