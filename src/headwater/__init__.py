"""Headwater takes a machine image from a file to a running instance that knows who it is."""

__version__ = "0.1.0"
