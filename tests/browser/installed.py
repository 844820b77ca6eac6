"""The players that docs/players shows, from npm, at the versions that players/package-lock.json pins by their hashes.

`npm ci` runs in a temporary folder; of what it brings, the few files that pages load are kept in .players/HASH at the
project's head, and everything else is thrown away. So they are fetched once for a lock. A
machine without npm, or without a network that npm can use, skips the tests that need them, as one without Chromium skips all browser
tests; whatever else is wrong (a hash, a version that is gone) fails them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "players"
KEPT = Path(__file__).parents[2] / ".players"
# As pages load them: the name beside the page, and where the package has it.
FILES = {
    "hls.min.js": "hls.js/dist/hls.min.js",
    "dash.all.min.js": "dashjs/dist/modern/umd/dash.all.min.js",
    "shaka-player.compiled.js": "shaka-player/dist/shaka-player.compiled.js",
    "shaka-player.ui.js": "shaka-player/dist/shaka-player.ui.js",
    "video.min.js": "video.js/dist/video.min.js",
    "video-js.min.css": "video.js/dist/video-js.min.css",
}
FETCH_S_MAX = 300
# What npm says where there is no network.
CUT_OFF = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|ERR_SOCKET_TIMEOUT)\b")  # fmt: skip


def players() -> dict[str, Path]:
    """Return the files of the players by name, fetching them if they are not there yet."""
    wanted = (HERE / "package-lock.json").read_bytes() + repr(FILES).encode()
    folder = KEPT / hashlib.sha256(wanted).hexdigest()[:16]
    KEPT.mkdir(exist_ok=True)
    with (KEPT / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest's workers ask at the same time
        if not folder.exists():
            _fetch(folder)
    return {name: folder / name for name in FILES}


def _fetch(folder):
    if shutil.which("npm") is None:
        pytest.skip("no npm found: the players' tests need Debian's packages nodejs and npm")
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=KEPT)))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, scratch)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
        try:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False,
                timeout=FETCH_S_MAX)  # fmt: skip
            why = done.stderr[-2000:] if done.returncode else ""
        except subprocess.TimeoutExpired:
            why = f"ETIMEDOUT: it did not end within {FETCH_S_MAX} s"
        if cut_off := CUT_OFF.search(why):
            pytest.skip(f"npm reaches no network, so the players cannot be fetched: {cut_off[0]}")
        if why:
            pytest.fail(f"the players cannot be fetched: `{' '.join(command)}` in {HERE}: {why}", pytrace=False)  # fmt: skip
        chosen = scratch / "chosen"
        chosen.mkdir()
        for name, path in FILES.items():
            shutil.copy(scratch / "node_modules" / path, chosen / name)
        chosen.rename(folder)
