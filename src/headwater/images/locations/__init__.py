"""Where an image's data lies, and images whose data lies on web servers of others."""
