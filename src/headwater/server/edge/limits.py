"""How much and how long: what one client may ask of the edge."""

from __future__ import annotations

# A head. Glance's and Nova's are some hundred bytes; those of API v1 carry up to 128 properties.
TARGET_LIMIT = 64 << 10
HEAD_LIMIT = 128 << 10
HEADERS_LIMIT = 512
CHUNK_LINE_LIMIT = 1024  # the size of a chunk and its extensions, which nobody here wants

HANDSHAKE_S = 10.0  # of TLS
FIRST_BYTE_S = 30.0  # from the connection to the first byte
HEAD_S = 30.0  # from there to the end of the head
KEEP_ALIVE_S = 30.0  # from an answer to the next request

STOP_S = 1.0  # the same, once the server is to stop

# A body may pause while its sender computes, and a reader while its disk is busy; neither for ever.
BODY_IDLE_S = 600.0
WRITE_STALL_S = 600.0

# What is left of a body that nobody wanted: this much is dropped for the sake of the connection ...
DROP_LIMIT = 256 << 10
# ... and more than that only until its client has read why: most send everything before they look.
LINGER_S = 120.0
LINGER_IDLE_S = 5.0

# One read from a socket. In heads it bounds how many requests are parsed, and so kept, before their turn; in a body it
# is the largest piece, and each read costs a turn of the loop.
HEAD_RECEIVE_SIZE = 16 << 10
BODY_RECEIVE_SIZE = 1 << 20
WRITE_BUFFER = 64 << 10  # what a client has not taken yet, beside the piece that is being sent
FILE_BURST = 4 << 20  # what one thread sends of a file before another download has its turn
FILE_PIECE = 256 << 10  # what one thread reads of a file that is encrypted on its way

# The kernel asks a silent client whether it is still there, and ends the connection when it is not.
TCP_ALIVE_IDLE_S, TCP_ALIVE_EVERY_S, TCP_ALIVE_TRIES = 60, 15, 4

BACKLOG = 4096
CONNECTIONS_LIMIT = 65536
