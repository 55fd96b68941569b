"""Image signatures: what is claimed, and whether it is true."""
