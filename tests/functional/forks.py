"""Be a console script whenever asked to: import it once, and fork a process for each time it runs.

    forks.py CONTROL MODULE...

The script is ``main`` of the first module; the others are what it imports when it runs. ``CONTROL`` is the number of a
socket. A message on it is one run: arguments, working directory, environment and whether there is a standard input as
JSON, with its standard files and a pipe for its exit code. The answer is its process id. The end of the socket ends
this program, and with it all that it started (SIGTERM). It runs in the environment of the script, and imports nothing
of ours besides.

A process that it forked does at its end what Python does, but for taking all modules apart, one by one: that costs more
than most commands, and says nothing of them.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable

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
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a run of the tests in the background ignores it
    os.setsid()  # its own group; Ctrl-C is for the test run
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    if not run["has_input"]:
        os.close(0)
        sys.stdin = None  # as Python has it then
    os.chdir(str(run["cwd"]))
    os.environ.clear()
    os.environ.update(run["env"])  # type: ignore[call-overload]  # from JSON
    time.tzset()
    sys.argv[:] = run["arguments"]  # type: ignore[call-overload]  # from JSON


class End:
    """The end of a process, once whatever else was registered for it is done."""

    def __init__(self) -> None:
        self.code = 1  # as long as nothing else is known, it is an exception that nobody caught
        atexit.register(self._leave)  # before any module registers something, so that it comes last

    def _leave(self) -> None:
        try:
            for file in (sys.stdout, sys.stderr):
                file.flush()
        except OSError:
            self.code = 120  # as Python says that something was not written
        os._exit(self.code)

    def run(self, main: Callable[[], str | int | None]) -> None:
        """Call ``main`` as a console script does, and keep the exit code."""
        try:
            said = main()
        except SystemExit as ended:
            said = ended.code
        if isinstance(said, int | None):
            self.code = int(said or 0) & 0xFF
        sys.exit(said)


if __name__ == "__main__":
    end = End()
    module, *_ = [importlib.import_module(name) for name in sys.argv[2:]]
    gc.collect()
    gc.freeze()  # nothing of it is garbage, and no process has to look at it again
    wait_for_a_run(socket.socket(fileno=int(sys.argv[1])))
    end.run(module.main)
