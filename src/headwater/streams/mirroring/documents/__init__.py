"""The documents of a mirrored feed: what is wanted of each, and what is written of them."""
