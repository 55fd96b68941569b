"""Files that a config drive brings to a machine."""
