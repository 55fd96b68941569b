"""What feeds cost."""
