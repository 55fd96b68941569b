"""What each program in a guest makes of a record, before anything boots."""
