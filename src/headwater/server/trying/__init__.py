"""A machine that is booted once from an image, to see what it takes of what it is told."""
