"""Linear effects of actions and what follows of encoders: Saengkyongam et al. (2024), arXiv 2310.04295, re-derived."""
