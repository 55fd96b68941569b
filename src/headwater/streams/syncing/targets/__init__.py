"""Image services that a sync writes to: this program's own catalogue, and any that speaks the Image API v2."""
