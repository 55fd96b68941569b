"""Images of a cloud kept as fresh as feeds: by hand, and by sources of the service."""
