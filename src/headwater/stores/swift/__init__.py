"""Objects in a container of OpenStack Swift."""
