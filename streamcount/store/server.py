"""The servers behind the buckets: how to reach them, and whether they will do.

    redis://  rediss://  unix://            one server
    redis+sentinel://host:port,.../name     the master that sentinels name (masters.py)
    redis+cluster://host:port,...           the masters of a cluster (masters.py)

redis-py retries a command ten times by default and waits five seconds for each answer. Here a call is
made once and has a deadline; whoever calls knows what not having an answer means. Every script is
safe to repeat.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from streamcount.core.bucket import BucketError
from streamcount.store.masters import Address, Cluster, Masters, Sentinels

Client = Redis | Masters

VERSION_MIN: Final = (6, 2)


class ServerError(Exception):
    """The server cannot be used; the message says why and what to do."""


async def answer_of(call: Awaitable[Any], deadline_s: float | None = None) -> Any:
    """Return what the server answers to a call.

    `deadline_s` is for calls that have less time than their client gives each.

    Raises:
        BucketError: no answer within the deadline, or an error for an answer.
    """
    try:
        async with asyncio.timeout(deadline_s):
            answer = await call
    except (RedisError, OSError, TimeoutError, RuntimeError) as error:
        # RuntimeError is how uvloop says that a connection it writes to was reset.
        _end_if_cancelled()
        why = str(error) or "no answer in time"
        msg = f"the store did not answer: {type(error).__name__}: {why}"
        raise BucketError(msg) from error
    _end_if_cancelled()
    return answer


def _end_if_cancelled() -> None:
    """End this task if that was asked of it during the call.

    The client awaits `asyncio.wait_for`, which up to Python 3.11 loses a cancellation that comes in
    the moment its inner task is done; the loops here would then run for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def drop_connections(client: Client) -> None:
    """Make the next call open a new connection: the master is elsewhere now."""
    if isinstance(client, Masters):
        await client.drop_connections()
    else:
        await client.connection_pool.disconnect(inuse_connections=False)


def connect(url: str, *, deadline_s: float, masters_age_s: float = 5.0) -> Client:
    """Return a client of the server, or servers, at an address.

    Raises:
        ServerError: the address is malformed.
    """
    scheme = url.partition("://")[0]
    if "+" not in scheme:
        return connect_one(url, deadline_s=deadline_s)
    try:
        seeds, more, path = _several(url)
        options = _options(deadline_s) | more
        limits = {"deadline_s": deadline_s, "age_s": masters_age_s}
        if scheme in {"redis+cluster", "rediss+cluster"} and not path:
            return Cluster(seeds, options, **limits)
        if scheme in {"redis+sentinel", "rediss+sentinel"} and 1 <= len(path) <= 2:
            options["db"] = int(path[1]) if len(path) == 2 else 0
            return Sentinels(seeds, options, path[0], **limits)
        raise ValueError("not an address of a kind that is known")
    except ValueError as error:
        raise _malformed(url, error) from error


def connect_one(url: str, *, deadline_s: float) -> Redis:
    """Return a client of one server.

    Raises:
        ServerError: the address is malformed.
    """
    try:
        return Redis.from_url(url, **_options(deadline_s))
    except ValueError as error:
        raise _malformed(url, error) from error


def _options(deadline_s: float) -> dict[str, Any]:
    return {
        "decode_responses": False,
        "socket_timeout": deadline_s,
        "socket_connect_timeout": deadline_s,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "protocol": 2,
    }


def _malformed(url: str, error: ValueError) -> ServerError:
    return ServerError(
        f"--redis-url {without_password(url)}: {error}. Give redis://host:port/0, unix:///path, "
        f"redis+sentinel://host:port,host:port/master-name or redis+cluster://host:port,host:port"
    )


def _several(url: str) -> tuple[list[Address], dict[str, Any], list[str]]:
    """Take an address with several hosts apart: hosts, options of connections, parts of the path."""
    parts = urlsplit(url)
    who, _, hosts = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    seeds = []
    for place in hosts.split(","):
        host, colon, port = place.rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise ValueError(f"{place!r} is not host:port")
        seeds.append((host.strip("[]"), int(port)))
    more: dict[str, Any] = {"ssl": parts.scheme.startswith("rediss")}
    if password:
        more |= {"username": unquote(user) or None, "password": unquote(password)}
    if parts.query or parts.fragment:
        raise ValueError("nothing may follow the path")
    return seeds, more, [unquote(part) for part in parts.path.split("/") if part]


async def check(client: Client, url: str) -> str:
    """Check that every server answers and will keep what it is given; return its name and version.

    Raises:
        ServerError: one does not answer, is too old, or would drop keys.
    """
    place = without_password(url)
    try:
        if not isinstance(client, Masters):
            return judge(await client.info(), place)
        found = {
            f"{host}:{port}": await master.info()
            for (host, port), master in (await client.masters()).items()
        }
    except (RedisError, OSError, TimeoutError) as error:
        msg = f"no answer from the store at {place}: {error}. Is it running, and the address right?"
        raise ServerError(msg) from error
    several = isinstance(client, Cluster)
    names = [judge(info, f"{place}, at {at}", cluster=several) for at, info in found.items()]
    return names[0] + (f", a cluster of {len(names)} masters" if several else "")


def judge(info: Mapping[str, Any], place: str, *, cluster: bool = False) -> str:
    """Judge a server by its INFO; return its name and version. `cluster`: it should be one of several.

    Raises:
        ServerError: it is too old, its eviction policy would drop keys, or it is no master.
    """
    valkey = info.get("valkey_version")
    name = "Valkey" if valkey else "Redis"
    version = str(valkey or info.get("redis_version", "0"))
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if not valkey and numbers < VERSION_MIN:
        msg = f"the store at {place} is Redis {version}; 6.2 or later, or any Valkey, is needed"
        raise ServerError(msg)
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy.startswith("allkeys"):
        msg = (
            f"the store at {place} has maxmemory-policy {policy}: it may drop keys that are being "
            f"counted. Set it to noeviction (CONFIG SET maxmemory-policy noeviction)"
        )
        raise ServerError(msg)
    if info.get("role") == "slave":
        msg = f"the store at {place} is a replica; give the address of its master"
        raise ServerError(msg)
    if info.get("cluster_enabled") == 1 and not cluster:
        msg = f"the store at {place} is part of a cluster; give redis+cluster://host:port"
        raise ServerError(msg)
    return f"{name} {version}"


def without_password(url: str) -> str:
    """Return an address as it may be printed."""
    return re.sub(r"//[^@/]*@", "//", url)
