"""Representations for interventions that were never seen: linear invariance, and what it lets one predict."""
