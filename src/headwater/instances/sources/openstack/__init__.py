"""An OpenStack cloud: what Nova and Neutron know of an instance that asks."""
