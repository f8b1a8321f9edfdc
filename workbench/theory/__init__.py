"""Closed forms, each one function for every number system: floats, tensors, SymPy, Arb balls, Z3 reals.

`ops` (see `ops.py`) carries what +, -, *, / and ** cannot say. The claims of `proofs_check` test and prove these very
functions. Needs the standard library alone.
"""
