"""What projects show of their images to those who are no callers."""
