"""Data of others, kept on this machine's own disk: fetched once, checked, and given to many."""
