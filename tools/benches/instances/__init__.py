"""What guests and their media cost."""
