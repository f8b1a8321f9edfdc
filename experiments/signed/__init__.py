"""Codes of both signs."""
