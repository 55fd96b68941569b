"""User data: of what kind it is, several pieces in one, what is wrong with it, and templates of it."""
