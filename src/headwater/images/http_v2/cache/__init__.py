"""The cache of this machine in the API v2."""
