"""The rules of each program that reads instance metadata, with their sources."""
