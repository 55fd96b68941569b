"""What every face of the service speaks, whichever capability it belongs to."""
