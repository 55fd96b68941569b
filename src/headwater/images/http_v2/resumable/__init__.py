"""Uploads that outlive their connection, as draft-ietf-httpbis-resumable-upload has them."""
