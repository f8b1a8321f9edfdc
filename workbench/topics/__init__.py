"""Methods that both a topic's claims and its study use."""
