"""Theorems for all sizes that Coq's kernel checks, and what ties them to the shipped functions."""
