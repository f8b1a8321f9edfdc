"""What parts and trainers of later SAEs promise: GroupMax, OrtSAE, prefixes, alignment, skips, hulls, Adam."""
