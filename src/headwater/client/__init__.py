"""The Image API from the other side: what the command line asks a service that runs somewhere."""
