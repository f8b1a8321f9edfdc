"""What claims are drawn from: mixtures, codes, selections, witnesses, pasted inequalities."""
