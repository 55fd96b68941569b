"""Durable background work: kept in the catalogue until it is done, run by any process."""
