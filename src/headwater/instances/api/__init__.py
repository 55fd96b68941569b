"""Instances for callers: what a project does with its own over HTTP."""
