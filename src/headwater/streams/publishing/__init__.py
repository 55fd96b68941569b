"""Feeds made known: a tree copied to where readers fetch it, and its address in the Keystone catalogue."""
