"""Concepts in levels and trees."""
