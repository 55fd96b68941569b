"""Be the console script ``headwater`` whenever asked to: import it once, and fork a process for each time it runs.

    forks.py CONTROL

``CONTROL`` is the number of a socket. A message on it is one run: arguments, working directory and environment as
JSON, with its standard files and a pipe for its exit code. The answer is its process id. The end of the socket ends
this program, and with it all that it started (SIGTERM).
"""

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import sys
import time

from headwater.cli.main import main
from headwater.server import supervisor  # noqa: F401 - for `serve`, which imports it

_PR_SET_PDEATHSIG = 1  # prctl(2)
_MOST_BYTES = 1 << 20


def wait_for_a_run(control: socket.socket) -> None:
    """Fork for each message; return in the new process, which is all that the message says."""
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    codes: dict[int, int] = {}  # the pipe for the exit code, by process id
    while True:
        readable, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in readable:
            os.read(wake, _MOST_BYTES)
            _tell_ends(codes)
        if control.fileno() in readable:
            message, files, _, _ = socket.recv_fds(control, _MOST_BYTES, 4)
            if not message:
                os._exit(0)
            pid = os.fork()
            if pid == 0:
                _become(json.loads(message), files)
                return
            codes[pid] = files.pop()
            for file in files:
                os.close(file)
            control.send(str(pid).encode())


def _tell_ends(codes: dict[int, int]) -> None:
    while codes:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        code = codes.pop(pid)
        with contextlib.suppress(BrokenPipeError):  # whoever started it is not interested any more
            os.write(code, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(code)


def _become(run: dict[str, object], files: list[int]) -> None:
    """Leave this process nothing that a new one would not have."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()  # its own group; Ctrl-C is for the test run
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(str(run["cwd"]))
    os.environ.clear()
    os.environ.update(run["env"])  # type: ignore[call-overload]  # from JSON
    time.tzset()
    sys.argv[:] = run["arguments"]  # type: ignore[call-overload]  # from JSON


if __name__ == "__main__":
    gc.collect()
    gc.freeze()  # nothing of it is garbage, and no process has to look at it again
    wait_for_a_run(socket.socket(fileno=int(sys.argv[1])))
    sys.exit(main())  # type: ignore[func-returns-value]  # as the console script does
