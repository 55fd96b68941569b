"""Juju's own commands, with the name changed: ``juju metadata COMMAND`` is ``headwater juju-metadata COMMAND``."""
