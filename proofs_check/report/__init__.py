"""The ledger shown: on a terminal, as a page."""
