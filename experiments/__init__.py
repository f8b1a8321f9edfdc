"""Studies: one file each, run as scripts; nothing imports them."""
