"""A feed of others served as ours: documents kept and refreshed, files fetched when they are first asked for."""
