"""Uploads that outlive their connection: begun here, gone on with by whichever process the client reaches next."""
