"""Instance metadata: what a booted machine may learn about itself, over HTTP or from a config drive."""
