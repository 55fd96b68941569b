"""Sources: feeds that the service itself brings images from, again and again."""
