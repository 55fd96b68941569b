"""Images of a cloud kept as fresh as the feeds that they come from.

A run compares what feeds offer (``items.py``) with the images that earlier runs have made (``planning.py``), and brings
what is missing. An image carries from its creation on what tells where it is from, so a run that was killed anywhere
is gone on with by the next one: nothing of it lies in a file. It is seen by its owner alone until its data is proved.
"""
