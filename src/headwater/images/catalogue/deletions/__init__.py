"""Deleted images whose data is kept for a time, and can be restored until then."""
