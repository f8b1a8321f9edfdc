"""Studies: arms on places, one tidy table, figures, questions."""
