"""Become another program, with a promise of the kernel: SIGTERM when the test run is gone.

    ends_with_its_parent.py PROGRAM ARGUMENT...

A program of its own, because what it imports delays the start of every service.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    os.execv(sys.argv[1], sys.argv[1:])
