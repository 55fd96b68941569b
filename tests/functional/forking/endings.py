"""A program that ends in the way that its argument names."""

import atexit
import sys
import threading


def main() -> str | int | None:
    """Begin what is still to be done at the end, and end."""
    (way,) = sys.argv[1:]
    atexit.register(print, "at the end")
    threading.Timer(0.2, print, ["of a thread"]).start()
    if way == "number":
        return 3
    if way == "sentence":
        return "it did not work"
    if way == "large number":
        sys.exit(256 + 7)
    if way == "exception":
        raise ValueError("nobody catches this")
    return None


if __name__ == "__main__":
    sys.exit(main())
