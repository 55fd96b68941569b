"""Run a server for as long as standard input stays open, then stop it and remove its directory.

    keeper.py SIGNAL ACCOUNT DIRECTORY COMMAND...

Whoever starts this holds the other end of the pipe. The kernel closes that end also when the test
run is killed, so no server and no data of one outlives it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import threading
from pathlib import Path

STOP_S = 30


def main(stop_signal: int, account: str, directory: Path, command: list[str]) -> int:
    with (directory / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=account or None,
            group=pwd.getpwnam(account).pw_gid if account else None,
            extra_groups=[] if account else None,
        )
    let_go = threading.Event()

    def stop_at_end_of_input() -> None:
        while os.read(0, 4096):
            pass
        let_go.set()
        server.send_signal(stop_signal)
        try:
            server.wait(STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()

    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    code = server.wait()
    # A server that ended by itself has left a log that says why; whoever holds the pipe reads it.
    if let_go.is_set():
        shutil.rmtree(directory, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4:]))
