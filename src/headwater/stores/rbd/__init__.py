"""The store of type ``rbd``: objects as images of a Ceph pool, for Nova and Cinder to clone."""
