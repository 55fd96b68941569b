"""The server that is measured, what asks it, and what is measured beside it."""
