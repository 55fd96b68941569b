"""What ``headwater image`` has besides the commands that ask a service."""
