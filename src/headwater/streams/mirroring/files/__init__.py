"""The files that items name, brought from tree to tree and held against what the feed says of them."""
