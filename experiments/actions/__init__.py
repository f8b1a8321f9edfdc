"""Actions that were never seen: what a representation lets one predict of their effects."""
