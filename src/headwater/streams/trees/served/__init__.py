"""Trees that the service gives to readers over HTTP, and what readers of feeds do so."""
