"""The instances of the catalogue, and what each is known by, in SQL."""
