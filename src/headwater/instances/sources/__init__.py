"""Where instances come from besides the registry and its files: what others know of machines."""
