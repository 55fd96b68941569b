"""Images that grow old: which follow each other, what becomes of the older ones, and when somebody last used one."""
