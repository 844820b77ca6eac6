"""The naive server: what most would write first. A handler a connection, a ZADD a heartbeat.

`python -m loadtests.bench.naive PORT REDIS_URL [CERT KEY]`
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time

from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

REDIS_CONNECTIONS = 5_000


async def main(port: int, redis_url: str, *tls: str) -> None:
    """Serve until killed."""
    # The client's own bound, 100 at once, fails handlers as soon as they are many.
    redis = Redis.from_url(redis_url, max_connections=REDIS_CONNECTIONS)
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*tls)

    async def handle(connection: ServerConnection) -> None:
        viewer = ""
        async for text in connection:
            message = json.loads(text)
            if message["type"] == "hello":
                viewer = message["viewer"]
                continue
            now = time.time()
            await redis.zadd("viewers", {viewer: now})
            ack = {"type": "ack", "seq": message["seq"], "tick": int(now), "live": 0, "peak": 0}
            await connection.send(json.dumps(ack | {"uncertain": False, "late": 0}))

    async with serve(
        handle,
        "127.0.0.1",
        port,
        ssl=context,
        subprotocols=[Subprotocol("streamcount.v1")],
        compression=None,
    ):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
