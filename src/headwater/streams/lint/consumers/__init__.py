"""The readers of feeds, one file each: what one requires, as rules with their sources."""
