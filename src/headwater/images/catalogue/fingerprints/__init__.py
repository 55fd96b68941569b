"""What is found in passes over all of an image's data."""
