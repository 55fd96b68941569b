"""Disk images that come from elsewhere: what is in them, what hinders them in a cloud, and copies that are mended."""
