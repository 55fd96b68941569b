"""The use cases of the Image API v1, where they are not those of v2."""
