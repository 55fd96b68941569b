"""Copies of images on this machine's own disk, for stores that are far away."""
