"""Claims about sparse autoencoders as code: the ledger. Empty as of this version."""
