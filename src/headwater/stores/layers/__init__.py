"""Stores around stores: each passes what is asked on to the store below it, and adds one thing."""
