"""What a client that was cut off takes up again: creations that are tried again, and uploads that resume."""
