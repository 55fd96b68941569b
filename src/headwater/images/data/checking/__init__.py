"""A store and the catalogue held against each other."""
