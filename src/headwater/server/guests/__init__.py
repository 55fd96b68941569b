"""What answers guests: all of them by the metadata port, and one alone on a channel that nobody but it has.

A hypervisor gives each of its machines such a channel: what QEMU forwards to a program, a UNIX socket, or vsock. Who
comes by it is known by that, so no network has to be made for it, and none can be spoofed.
"""
