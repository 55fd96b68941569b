"""cloud-configs: the faults that are common in them, and the schema of an installed cloud-init."""
