"""Matching pursuit as an encoder."""
