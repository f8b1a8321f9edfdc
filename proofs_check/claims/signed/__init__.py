"""Activations as proximal maps: Zhu, Khalili, Zhu (2025), arXiv 2510.00404, re-derived; what signs buy and cost."""
