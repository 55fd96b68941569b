"""Where the certificates of image signatures come from."""
