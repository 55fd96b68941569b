"""Images of the catalogue as files for LXD and Incus."""
