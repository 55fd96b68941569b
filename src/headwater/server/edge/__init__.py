"""The HTTP/1.1 server under the ASGI applications: connections in, requests and answers, in order.

llhttp (through ``httptools``) parses; everything else is a choice of ours, and so has a place here: how long
a client may be silent (``limits``), what one request is (``parsing``), how a socket is read, written and ended
without ever holding a thread (``stream``), what ASGI says of one exchange (``exchange``), one connection
after another request (``connection``), and who may come in (``listener``).

Nothing is read before somebody wants it, and nothing is kept that the kernel has not taken: a client that is
slow, either way, costs a coroutine and the kernel's buffers. Decision 0017 tells why.
"""
