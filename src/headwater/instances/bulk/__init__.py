"""Many machines at once: a YAML file to records, records to the registry, and the registry to a file."""
