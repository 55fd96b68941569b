"""Which instances a list shows, a page at a time."""
