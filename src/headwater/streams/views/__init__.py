"""What one project sees, or shows to everybody, as a feed with its files and their checksums."""
