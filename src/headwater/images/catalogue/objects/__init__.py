"""The objects of a store as rows name them, kept in several tables."""
