"""Feeds copied from one tree into another; ``mirror.py`` is where it begins."""
