"""A bucket: the keys of one event in the store, and the scripts that may touch them.

    sc:{<tag>}:meta      hash    epoch, run id, offset, open, close, sealed, archived, what is published
    sc:{<tag>}:registry  hash    pseudonym (16 bytes) -> index
    sc:{<tag>}:members   hash    node -> "<boot> <tick it has delivered>"
    sc:{<tag>}:journal   list    "r<first index> <18 bytes a registration>", "l<first> <last> <why> <node>"
    sc:{<tag>}:p:<tick>  string  presence: bit i of the viewer with index i
    sc:{<tag>}:x:<tick>  string  breaks
    sc:{<tag>}:s:<tick>  string  stream of each heartbeat, 6 bytes each; only with several streams
    sc:{<tag>}:t:<tick>  hash    node -> tallies
    sc:{<tag>}:scratch   string  alive inside one script only

The braces make all of them one hash slot, so that a bucket lives on one master of a cluster; an event has
one bucket or several, each with a tag of its own (core/sharing.py). None has a time to live. Every key a
script touches is declared in KEYS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from streamcount.config import Settings
from streamcount.core.bucket import (
    STRANGER,
    Arming,
    BucketError,
    Flush,
    Flushed,
    Published,
    Read,
    SealedTick,
    Server,
    State,
    Status,
)
from streamcount.core.listing import Listed
from streamcount.core.pseudonym import PSEUDONYM_BYTES
from streamcount.store.scripts import Script
from streamcount.store.server import Client

STATE_FIELDS: Final = 16
_REGISTRY_CHUNK: Final = 10_000 * PSEUDONYM_BYTES
_WIPE_CHUNK: Final = 2_000
_PER_TICK: Final = ("p", "x", "s", "t")


_NAMES: Final = ("flush", "server", "read", "advance", "wipe", "load", "arm")


def buckets_of(client: Client, listed: Listed, settings: Settings) -> list[Bucket]:
    """Return an event's buckets, in order."""
    # Each has room for its share of the viewers.
    share = -(-settings.viewers_max // listed.buckets)
    own = settings.model_copy(update={"viewers_max": share})
    return [Bucket(client, tag, listed.event.window, own) for tag in listed.tags]


class Bucket:
    """A bucket of an event, on the server that has its keys: both sides of core/bucket.py."""

    def __init__(self, client: Client, tag: str, window: int, settings: Settings) -> None:
        """`tag` is of this bucket of this log alone, and never repeats; `window` in ticks."""
        self._client = client
        self._prefix = f"sc:{{{tag}}}:"
        self._window = window
        self._settings = settings
        self._keep = settings.recent_ticks(window)
        self._scripts = {name: Script(name) for name in _NAMES}
        # None leaves it to the client, whose deadline is that of its role.
        self._deadlines_s = dict.fromkeys(("server", "read", "advance"), settings.notary_deadline_s)

    def _key(self, name: str) -> str:
        return self._prefix + name

    def _tick_keys(self, tick: int) -> list[str]:
        return [f"{self._prefix}{letter}:{tick}" for letter in _PER_TICK]

    async def _call(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        deadline_s = self._deadlines_s.get(script)
        return await self._scripts[script].call(self._client, keys, args, deadline_s)

    # --- The workers' side ------------------------------------------------------------------------

    async def flush(self, flush: Flush) -> Flushed:
        """Deliver what was heard in a tick."""
        tick = flush.tick if flush.tick is not None else 0
        names = ("meta", "registry", "members", "journal")
        keys = [*map(self._key, names), *self._tick_keys(tick), self._key("scratch")]
        delivered = "leave" if flush.leave else _or_empty(flush.delivered)
        args = [
            flush.epoch,
            flush.node,
            flush.boot,
            delivered,
            _or_empty(flush.tick),
            flush.presence,
            flush.breaks,
            flush.strangers,
            flush.streams,
            flush.tallies,
        ]
        reply = await self._call("flush", keys, args)
        state = _state(reply)
        if state.status is Status.FENCED:
            return Flushed(state, ())
        indices = _list(reply, STATE_FIELDS)
        asked = len(flush.strangers) // STRANGER.itemsize
        taken = state.status in {Status.OK, Status.LATE} and flush.tick is not None
        sound = all(type(index) is int and -1 <= index < 2**31 for index in indices)
        if len(indices) != (asked if taken else 0) or not sound:
            msg = "the store answered a flush with indices of another number or kind"
            raise BucketError(msg)
        return Flushed(state, indices)

    # --- The notary's side ------------------------------------------------------------------------

    async def server(self) -> Server:
        """Tell which server this is, and its time."""
        run_id, time_us, _, _ = await self._look()
        return Server(run_id.decode("ascii", "replace"), time_us)

    async def members(self) -> dict[str, str]:
        """Return who is a member now, whatever the epoch."""
        _, _, members, _ = await self._look()
        return _members(members)

    async def latest(self) -> tuple[int, int]:
        """Return the epoch it was armed in and the tick archived then, whatever server that was."""
        _, _, _, found = await self._look()
        if len(found) != 2 or not all(field is None or field.isdigit() for field in found):
            msg = "the store holds a meta that is none"
            raise BucketError(msg)
        return int(found[0] or 0), int(found[1] or 0)

    async def _look(self) -> tuple[bytes, int, list[bytes], list[bytes | None]]:
        reply = await self._call("server", [self._key("meta"), self._key("members")], [])
        kinds = (bytes, int, list, list)
        if (
            not isinstance(reply, list)
            or len(reply) != len(kinds)
            or not all(isinstance(part, kind) for part, kind in zip(reply, kinds, strict=True))
        ):
            msg = "the store answered with something that is no server"
            raise BucketError(msg)
        return reply[0], reply[1], reply[2], reply[3]

    async def arm(self, arming: Arming) -> bool:
        """Wipe, restore from what the archive holds, write meta."""
        settings = self._settings
        if not await self._wipe(arming.run_id, arming.archived) or not await self._load(arming):
            return False
        members = [part for pair in arming.members.items() for part in pair]
        published = arming.published
        meta = {
            "epoch": arming.epoch,
            "offset_us": arming.offset_us,
            "open": arming.open,
            "close": arming.close,
            "window": self._window,
            "lag_us": round(settings.seal_lag_s * 1e6),
            "hold_us": round(settings.hold_s * 1e6),
            "not_before_us": arming.not_before_us,
            "viewers_max": settings.viewers_max,
            "members_max": settings.members_max,
            "unarchived_max": settings.unarchived_ticks_max,
            "streams": arming.streams,
            "sealed": arming.archived,
            "archived": arming.archived,
            "viewers": len(arming.pseudonyms) // PSEUDONYM_BYTES,
            "journal_base": 0,
            "live": published.live,
            "proven": published.proven,
            "peak": published.peak,
            "peak_tick": published.peak_tick,
            "uncertain": int(published.uncertain),
        }
        fields = [part for pair in meta.items() for part in pair]
        keys = [self._key(n) for n in ("meta", "registry", "members")]
        args = [arming.run_id, meta["viewers"], len(members), *members, *fields]
        return bool(await self._call("arm", keys, args))

    async def forget(self, archived: int) -> None:
        """Delete all of it; `archived` is the last tick in durable evidence."""
        await self._wipe((await self.server()).run_id, archived)

    async def _wipe(self, run_id: str, archived: int) -> bool:
        ahead = 2 * self._settings.unarchived_ticks_max + 2
        ticks = range(archived - self._keep - ahead, archived + ahead + 1)
        keys = [self._key(n) for n in ("meta", "registry", "members", "journal", "scratch")]
        keys += [key for tick in ticks for key in self._tick_keys(tick)]
        for start in range(0, len(keys), _WIPE_CHUNK):
            if not await self._call("wipe", keys[start : start + _WIPE_CHUNK], [run_id]):
                return False
        return True

    async def _load(self, arming: Arming) -> bool:
        registry = [self._key("registry")]
        for start in range(0, len(arming.pseudonyms), _REGISTRY_CHUNK):
            chunk = arming.pseudonyms[start : start + _REGISTRY_CHUNK]
            args = [arming.run_id, start // PSEUDONYM_BYTES, chunk]
            if not await self._call("load", registry, args):
                return False
        for tick, presence, breaks in arming.bitmaps:
            keys = registry + self._tick_keys(tick)[:2]
            if not await self._call("load", keys, [arming.run_id, 0, b"", presence, breaks]):
                return False
        return True

    async def read(self, epoch: int, first: int, journal_read: int) -> Read:
        """Seal what can be sealed, and return what is sealed from tick `first` on."""
        settings = self._settings
        keys = [self._key(n) for n in ("meta", "members", "journal")]
        for tick in range(first, first + settings.ticks_per_read_max):
            keys += self._tick_keys(tick)
        args = [epoch, first, journal_read, settings.journal_per_read_max]
        reply = await self._call("read", keys, args)
        state = _state(reply)
        if state.status is not Status.OK:
            return Read(state, (), (), {})
        journal, ticks, members = (_list(reply, STATE_FIELDS + i) for i in range(3))
        try:
            sealed = [SealedTick(first + i, p, x, s, t) for i, (p, x, s, t) in enumerate(ticks)]
        except (TypeError, ValueError) as error:
            msg = "the store answered a read with ticks of another shape"
            raise BucketError(msg) from error
        return Read(state, journal, sealed, _members(members))

    async def advance(
        self, epoch: int, archived: int, journal_read: int, close: int, published: Published
    ) -> State:
        """Say what is archived, and let go of ticks that are neither in a window nor held."""
        keys = [self._key("meta"), self._key("journal")]
        for tick in range(
            archived - self._keep - 2 * self._settings.ticks_per_read_max, archived - self._keep
        ):
            keys += self._tick_keys(tick)
        args = [
            epoch,
            archived,
            journal_read,
            close,
            published.live,
            published.proven,
            published.peak,
            published.peak_tick,
            int(published.uncertain),
        ]
        return _state(await self._call("advance", keys, args))


def _or_empty(number: int | None) -> int | str:
    return "" if number is None else number


def _state(reply: Any) -> State:
    """Read the integers every script begins its answer with; the store's bytes are not trusted."""
    if not isinstance(reply, list) or not all(type(n) is int for n in reply[:STATE_FIELDS]):
        msg = "the store answered with something that is no state"
        raise BucketError(msg)
    if reply[:1] == [Status.FENCED] and len(reply) == 3:
        return State(Status.FENCED, reply[1], reply[2])
    if len(reply) < STATE_FIELDS or reply[0] not in Status._value2member_map_:
        msg = "the store answered with a state of another length or kind"
        raise BucketError(msg)
    return State(Status(reply[0]), *reply[1:STATE_FIELDS])


def _list(reply: list[Any], at: int) -> list[Any]:
    if len(reply) <= at or not isinstance(reply[at], list):
        msg = "the store left a part out of its answer"
        raise BucketError(msg)
    found: list[Any] = reply[at]
    return found


def _members(flat: Sequence[bytes]) -> dict[str, str]:
    """Return members from a list of names and values in turn."""
    texts = (part.decode("utf-8", "replace") for part in flat)
    return dict(zip(texts, texts, strict=False))
