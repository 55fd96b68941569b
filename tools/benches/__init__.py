"""What ``make bench`` measures: one file for each bench, beside what all of them need.

A figure says nothing alone, so each stands beside a limit or a peer that is measured in the same run,
in turn with it: limit, Headwater, limit, Headwater. The limits are in ``limits.py`` and
``sendfile_peer.py``.
"""
