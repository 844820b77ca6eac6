"""Masters that move: for each key the server that has it now, in a Cluster or behind Sentinels.

redis-py has clients for both. They retry and learn on their own, one server after another, and while
they do, calls to masters that are well wait too; a server that hangs can keep them for many deadlines.
Here a call is made once, to the server that the map names, within one deadline. The map says which
slots are where (with Sentinels, all at one address):

    learned     from whoever knows: the seeds, and in a cluster all masters; the one asked first gets a
                head start, then the others are asked too, and the first answer is taken
    doubted     an address, when a call to it failed in any way: the next call that needs it waits for
                the map to be learned again, once; calls to other addresses go on
    aged        after `masters_age_s` it is learned again meanwhile: a master that was deposed behind
                its clients' back may still answer them
    wrong       shows: MOVED or CLUSTERDOWN from a cluster, READONLY from a deposed master. That is an
                error of this call, and the address is doubted

While a slot is being moved a bucket's keys are in two places, and scripts on them answer ASK or
TRYAGAIN: nothing is followed there, the bucket is out of reach until the slot has arrived. What then
has its keys is another server, so they are fenced until armed.
"""

from __future__ import annotations

import asyncio
import bisect
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import NoScriptError, RedisError

from streamcount.core.sharing import SLOTS, slot_of

Address = tuple[str, int]
# One that does not answer is given this part of the deadline before the next is asked, too.
_HEAD_STARTS: Final = 10
_MASTERS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Range:
    """Slots, both ends included, and the master that has them."""

    first: int
    last: int
    master: Address


async def _say(client: Redis, *command: Any) -> Any:
    return await client.execute_command(*command)  # type: ignore[no-untyped-call]


class Masters(ABC):
    """A client of masters that move."""

    def __init__(
        self,
        seeds: Sequence[Address],
        options: Mapping[str, Any],
        *,
        deadline_s: float,
        age_s: float,
    ) -> None:
        """`seeds`: whom to ask first. `options`: how to connect to masters, for redis-py."""
        self._options = dict(options)
        self._deadline_s = deadline_s
        self._age_s = age_s
        # Whom to ask, best first.
        self._seeds = list(seeds)
        self._asked: dict[Address, Redis] = {}
        self._clients: dict[Address, Redis] = {}
        self._map: list[Range] = []
        self._doubted: set[Address] = set()
        self._learned = 0.0
        self._learning: asyncio.Task[None] | None = None
        # Why the map could not be learned the last time.
        self._why_not = ""

    # --- Calls ------------------------------------------------------------------------------------

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run a script by its hash on the master that has its first key."""
        return await self._call("EVALSHA", sha, numkeys, keys_and_args)

    async def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Run a script by its text on the master that has its first key."""
        return await self._call("EVAL", script, numkeys, keys_and_args)

    async def masters(self) -> dict[Address, Redis]:
        """Return a client of each master there is.

        Raises:
            RedisError: nobody answers who knows.
        """
        await self._learn()
        return {part.master: self._client(part.master) for part in self._map}

    async def drop_connections(self) -> None:
        """Doubt everything: some master is not one any more."""
        self._doubted |= {part.master for part in self._map}

    async def aclose(self) -> None:
        """Close all connections."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        for client in [*self._clients.values(), *self._asked.values()]:
            await client.aclose()

    async def _call(self, command: str, script: str, numkeys: int, rest: Sequence[Any]) -> Any:
        slot = slot_of(rest[0].partition("{")[2].partition("}")[0])
        async with asyncio.timeout(self._deadline_s):
            address = await self._master_of(slot)
            try:
                return await _say(self._client(address), command, script, numkeys, *rest)
            except NoScriptError:
                raise
            except BaseException:
                # Whatever it was, the deadline included.
                self._doubt(address)
                raise

    async def _master_of(self, slot: int) -> Address:
        address = self._find(slot)
        if address is None or address in self._doubted:
            await self._learn()
            address = self._find(slot)
            if address is None:
                raise NoConnectionError(f"no master has slot {slot}")
        elif time.monotonic() - self._learned > self._age_s:
            self._begin_to_learn()
        return address

    def _find(self, slot: int) -> Address | None:
        at = bisect.bisect_right(self._map, slot, key=lambda part: part.first) - 1
        found = self._map[at] if at >= 0 else None
        return found.master if found is not None and slot <= found.last else None

    def _doubt(self, address: Address) -> None:
        self._doubted.add(address)
        # Whoever told of it is asked last the next time.
        self._seeds.append(self._seeds.pop(0))

    def _client(self, address: Address) -> Redis:
        if address not in self._clients:
            host, port = address
            self._clients[address] = Redis(host=host, port=port, **self._options)
        return self._clients[address]

    # --- The map ----------------------------------------------------------------------------------

    @abstractmethod
    async def _ask(self, asked: Redis, address: Address) -> list[Range]:
        """Ask one who may know for the map. May raise whatever redis-py does."""

    @abstractmethod
    def _client_to_ask(self, address: Address) -> Redis:
        """Return a client of one who may know."""

    def _who_may_know(self) -> list[Address]:
        return self._seeds

    async def _learn(self) -> None:
        await asyncio.shield(self._begin_to_learn())
        if self._why_not:
            raise NoConnectionError(self._why_not)

    def _begin_to_learn(self) -> asyncio.Task[None]:
        """Learn the map, for all who wait for it."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn_once())
        return self._learning

    async def _learn_once(self) -> None:
        """Take the map from who answers first; bounded by the deadline."""
        doubted, asks = set(self._doubted), set[asyncio.Task[list[Range]]]()
        waiting = self._who_may_know()
        wrong = "nobody answers who knows where the masters are"
        until = time.monotonic() + self._deadline_s
        try:
            while (waiting or asks) and time.monotonic() < until:
                if waiting:
                    asks.add(asyncio.create_task(self._ask_at(waiting[0])))
                    waiting = waiting[1:]
                done, asks = await asyncio.wait(
                    asks,
                    timeout=self._deadline_s / _HEAD_STARTS
                    if waiting
                    else until - time.monotonic(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for ask in done:
                    try:
                        await self._take(ask.result(), doubted)
                    except (RedisError, OSError, TimeoutError, ValueError) as error:
                        wrong = (
                            f"where the masters are is not known: {type(error).__name__}: {error}"
                        )
                    else:
                        self._why_not = ""
                        return
            self._why_not = wrong
        finally:
            for ask in asks:
                ask.cancel()
            await asyncio.gather(*asks, return_exceptions=True)

    async def _ask_at(self, address: Address) -> list[Range]:
        if address not in self._asked:
            self._asked[address] = self._client_to_ask(address)
        return await self._ask(self._asked[address], address)

    async def _take(self, found: list[Range], doubted: set[Address]) -> None:
        """Take a map; connections to who is in it no more are closed."""
        if not found or len(found) > SLOTS or len({part.master for part in found}) > _MASTERS_MAX:
            raise ValueError("the answer names no masters")
        self._map = sorted(found, key=lambda part: part.first)
        self._learned = time.monotonic()
        self._doubted -= doubted
        masters = {part.master for part in found}
        for address in self._clients.keys() - masters:
            await self._clients.pop(address).aclose()
        for address in self._asked.keys() - set(self._who_may_know()):
            await self._asked.pop(address).aclose()


class Cluster(Masters):
    """A client of a Redis Cluster."""

    def _client_to_ask(self, address: Address) -> Redis:
        return Redis(host=address[0], port=address[1], **self._options)

    def _who_may_know(self) -> list[Address]:
        found = dict.fromkeys(
            [part.master for part in self._map if part.master not in self._doubted]
        )
        return list(dict.fromkeys([*found, *self._seeds]))

    async def _ask(self, asked: Redis, address: Address) -> list[Range]:
        """Ask for CLUSTER SLOTS: [[first, last, [host, port, ...], replicas ...], ...]."""
        answer = await _say(asked, "CLUSTER", "SLOTS")
        try:
            return [
                # A node that does not know its own name means: where you asked.
                Range(int(first), int(last), (host.decode() or address[0], int(port)))
                for first, last, (host, port, *_), *_ in answer
            ]
        except (TypeError, AttributeError, ValueError) as error:
            raise ValueError("CLUSTER SLOTS was answered in another shape") from error


class Sentinels(Masters):
    """A client of the one master that sentinels name."""

    def __init__(
        self,
        seeds: Sequence[Address],
        options: Mapping[str, Any],
        name: str,
        *,
        deadline_s: float,
        age_s: float,
    ) -> None:
        """`name`: what the sentinels call the master."""
        super().__init__(seeds, options, deadline_s=deadline_s, age_s=age_s)
        self._name = name

    def _client_to_ask(self, address: Address) -> Redis:
        # A sentinel has no databases, and passwords of its own if any.
        others = {"db", "username", "password"}
        options = {key: value for key, value in self._options.items() if key not in others}
        return Redis(host=address[0], port=address[1], **options)

    async def _ask(self, asked: Redis, address: Address) -> list[Range]:
        answer = await _say(asked, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)
        if not isinstance(answer, list) or len(answer) != 2:
            raise ValueError(f"the sentinel at {address[0]}:{address[1]} knows no {self._name!r}")
        return [Range(0, SLOTS - 1, (answer[0].decode(), int(answer[1])))]
