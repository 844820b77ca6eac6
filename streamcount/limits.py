"""Open files: how many a process may have, and saying so before it is too late."""

from __future__ import annotations

import resource
from typing import Final

# What a process keeps for everything that is no viewer: the store, the archive, the operators, logs.
SPARE_FILES: Final = 200
# Stands for a limit that is none.
_ENDLESS: Final = 1_048_576


class TooFewFilesError(Exception):
    """The process may not open enough files; the message says how to allow it."""


def raise_open_files(wanted: int = 0) -> int:
    """Raise the soft limit as far as the hard one allows; return it.

    The hard one is raised, too, where it is below `wanted` and this process may (as root).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = _ENDLESS
    attempts = [(wanted, wanted)] if wanted > hard else []
    # macOS refuses more than kern.maxfilesperproc, whatever the hard limit says.
    attempts += [(hard, hard), (min(hard, 10_240), hard)]
    for limits in attempts:
        if soft == resource.RLIM_INFINITY or soft >= limits[0]:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        except (OSError, ValueError):
            continue
        soft = limits[0]
    return soft if soft != resource.RLIM_INFINITY else _ENDLESS


def require_open_files(connections: int, what: str, processes_max: int = 1) -> int:
    """Return in how many processes this many connections have room.

    Raises:
        TooFewFilesError: in none, as it would take more than `processes_max`.
    """
    allowed = raise_open_files(connections + SPARE_FILES)
    room = allowed - SPARE_FILES
    if connections > room * processes_max:
        wanted = -(-connections // processes_max) + SPARE_FILES
        raise TooFewFilesError(
            f"{what} needs {wanted} open files, and this shell allows {allowed} at most. Raise the "
            f"limit (as root: `ulimit -n {wanted}`; for good: LimitNOFILE= of a service, or "
            f"/etc/security/limits.conf), or ask for fewer with "
            f"--viewers {max(1, room * processes_max * 4 // 5)}"
        )
    return -(-connections // room) if room else 1
