"""Juju's search for images and agents: what it finds in which source, and what it passed over, with the reason."""
