"""Feeds in trees, written: what readers of all kinds take, and nothing lost of what others wrote."""
