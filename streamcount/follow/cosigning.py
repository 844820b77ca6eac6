"""A follower as a witness: what it read, checked and keeps, it cosigns, and posts that to the log.

    wanted   the checkpoint that the log asks its witnesses for, so that enough of them see the same one
    due      the latest one: after opening, close and claim, and when nothing was cosigned for `cosign_s`

Only what is of the history in the copy is cosigned, and only once the copy has reached, with the same root,
what this key cosigned last: that is remembered beside the key, durably, before anything is sent. So one key
never says two things of one size, whatever copies it is used with. If the two contradict each other, the
log has signed two histories, and that is an alarm.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

from streamcount.config import FollowLimits
from streamcount.follow.alarm import raise_alarm
from streamcount.follow.following import Follower
from streamcount.follow.source import AwayError, RefusedError
from streamcount.tlog import checkpoint as cp
from streamcount.tlog import cosignature, note

if sys.platform != "win32":
    import fcntl

_KEY_BYTES_MAX: Final = 4_096


class KeyFileError(Exception):
    """A witness's key cannot be used; the message says which file, and why."""


def make_key(name: str, path: Path) -> note.Signer:
    """Return the key in a file; make one of this name when there is none.

    Raises:
        KeyFileError: it cannot be written or read, or is another's.
    """
    if not path.exists():
        try:
            note.check_name(name)
            signer = note.Signer(name, os.urandom(32))
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(f"{signer.private_text()}\n")
                file.flush()
                os.fsync(file.fileno())
        except (OSError, note.NoteError) as error:
            raise KeyFileError(f"{path}: no key could be made: {error}") from error
    found = read_key(path)
    if found.name != name:
        raise KeyFileError(f"{path}: holds the key of {found.name}; it is left as it is")
    return found


def read_key(path: Path) -> note.Signer:
    """Return the private key in a file.

    Raises:
        KeyFileError: it holds none.
    """
    try:
        with path.open("rb") as file:
            return note.parse_private(file.read(_KEY_BYTES_MAX).decode("utf-8").strip())
    except (OSError, UnicodeDecodeError, note.NoteError) as error:
        raise KeyFileError(
            f"{path}: holds no witness's key: {error}. `streamcount witness-key` makes one"
        ) from error


class Memory:
    """What a key cosigned last of each log, in a folder beside it; one follower at a time has it."""

    def __init__(self, key: Path) -> None:
        """Take the folder and its lock.

        Raises:
            KeyFileError: another follower cosigns with this key, or it cannot be written.
        """
        # A key with two names is one key, with one memory and one lock.
        key = key.resolve()
        self._folder = key.with_name(f"{key.name}.cosigned")
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            if sys.platform != "win32":
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise KeyFileError(f"{key}: another follower cosigns with this key") from error
        except OSError as error:
            raise KeyFileError(f"{self._folder}: cannot be written: {error}") from error

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._lock)

    def latest(self, origin: str) -> bytes | None:
        """Return the largest checkpoint of a log that was cosigned, None when there is none."""
        with contextlib.suppress(FileNotFoundError):
            return self._path(origin).read_bytes()
        return None

    def keep(self, origin: str, signed: bytes) -> None:
        """Remember a checkpoint in the place of a smaller one, durably."""
        path = self._path(origin)
        new = path.with_name(f".{path.name}.new")
        with new.open("wb") as file:
            file.write(signed)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        if sys.platform != "win32":
            handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _path(self, origin: str) -> Path:
        return self._folder / hashlib.sha256(origin.encode()).hexdigest()


class Cosigner:
    """Cosigns what one follower keeps."""

    def __init__(
        self, follower: Follower, signer: note.Signer, memory: Memory, limits: FollowLimits
    ) -> None:
        self._follower = follower
        self._signer = signer
        self._witness = cosignature.witness_of(signer)
        self._memory = memory
        self._limits = limits
        # Sizes that the log has taken, and when (monotonic) the latest of them.
        self._taken: set[int] = set()
        self._taken_at = float("-inf")
        # What was asked for last, once it was of this history and taken.
        self._settled: bytes | None = None
        # What stood when the latest one that was taken was chosen: opened, closed, claimed.
        self._known: tuple[Any, ...] = (False, False, None)
        self._pause_s = limits.retry_first_s
        self._not_before = 0.0
        self._trouble = ""
        self._claimed_at: float | None = None

    async def look(self) -> bool:
        """Cosign and send what is wanted or due; true when nothing is left to be done.

        Raises:
            AlarmError: the log has signed two histories.
            RefusedError: this witness is none of the event.
        """
        course, now = self._follower.course, time.monotonic()
        if course.event is None or not self._follower.copy.size:
            return True
        if self._witness.vkey() not in {one.key for one in course.event.event.trust.witnesses}:
            raise RefusedError(
                f"--cosign: {self._witness.vkey()} is no witness of this event. Witnesses are named in "
                f"the definition, before the event is created"
            )
        if course.claim is not None and self._claimed_at is None:
            self._claimed_at = now
        if now < self._not_before:
            return self._gave_up(now)
        try:
            signed, standing = await self._chosen()
            if signed is None:
                return True
            await self._send(signed)
            # Not before: what was not taken is as due as it was.
            self._known = standing
        except AwayError as error:
            if self._trouble != str(error):
                self._follower.tell("trouble", what=str(error))
            self._trouble, self._not_before = str(error), now + self._pause_s
            self._pause_s = min(2 * self._pause_s, self._limits.retry_most_s)
            return self._gave_up(now)
        self._trouble, self._pause_s = "", self._limits.retry_first_s
        return False

    def _gave_up(self, now: float) -> bool:
        since = self._claimed_at
        return since is not None and now > since + self._limits.cosign_give_up_s

    async def _chosen(self) -> tuple[bytes | None, tuple[Any, ...]]:
        """Return the checkpoint to be cosigned now, signed by the log alone, None when there is none.

        And what is known once that is taken.
        """
        asked = await self._follower.source.wanted()
        # To compare it the whole segment is read: not again for what was cosigned and taken.
        if asked is not None and asked != self._settled:
            signed = await asyncio.to_thread(self._of_this_history, asked)
            if signed is not None:
                if cp.parse(note.peek(signed)).size not in self._taken:
                    return signed, self._known
                self._settled = asked
        course, copy = self._follower.course, self._follower.copy
        standing = (course.first is not None, course.close is not None, course.claim)
        overdue = time.monotonic() >= self._taken_at + self._limits.cosign_s
        if copy.size in self._taken or not (standing != self._known or overdue):
            return None, self._known
        return await asyncio.to_thread(self._of_this_history, copy.signed), standing

    def _of_this_history(self, shown: bytes) -> bytes | None:
        """Return a checkpoint with the log's signature alone; None when it is not to be judged yet."""
        copy, verifier = self._follower.copy, self._follower.verifier
        try:
            text, lines = note.split(shown)
            point = cp.open_checkpoint(shown, verifier)
        except note.NoteError:
            return None
        if not 0 < point.size <= copy.size:
            return None
        if copy.root_at(point.size) != point.root:
            what = f"a checkpoint of {point.size} entries is asked for that is not of this history"
            raise_alarm(copy, "fork", shown, point.size, what)
        by_log = next(line for line in lines if line[:2] == (verifier.name, verifier.key_id))
        return f"{text}\n".encode() + note.line_of(*by_log)

    async def _send(self, signed: bytes) -> None:
        text = note.peek(signed)
        await asyncio.to_thread(self._remember, signed, cp.parse(text))
        line = cosignature.cosign(self._signer, text, int(time.time()))
        size = cp.parse(text).size
        await self._follower.source.post_cosigned(signed + line)
        self._taken.add(size)
        self._taken_at = time.monotonic()
        self._follower.tell("cosigned", size=size)

    def _remember(self, signed: bytes, point: cp.Checkpoint) -> None:
        """Make sure that this contradicts nothing that was cosigned, and remember it."""
        copy = self._follower.copy
        before = self._memory.latest(point.origin)
        if before is not None:
            last = cp.open_checkpoint(before, self._follower.verifier)
            if last.size > copy.size:
                raise AwayError(
                    f"{last.size} entries of this log were cosigned before, and this copy has "
                    f"{copy.size}: nothing is cosigned until it has reached them"
                )
            if copy.root_at(last.size) != last.root:
                what = f"another history of {last.size} entries was cosigned with this key before"
                raise_alarm(copy, "fork", before, last.size, what)
            if last.size >= point.size:
                return
        self._memory.keep(point.origin, signed)
