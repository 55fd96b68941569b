"""Domains of libvirt: their XML read, and what each says of a machine."""
