"""Images as Nova showed them to clients of the Compute API, before these asked the Image API themselves."""
