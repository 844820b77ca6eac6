"""store/server on a bad network: whatever happens to a connection is one error, in time, and no more."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop

from streamcount.config import Settings
from streamcount.core.bucket import BucketError
from streamcount.store import server
from streamcount.store.buckets import Bucket
from tests.faults.proxy import Proxy

SETTINGS = Settings(notary_deadline_s=2.0)


@pytest.fixture
def proxy(valkey):
    with Proxy(valkey.removeprefix("unix://")) as between:
        yield between


def test_a_reset_connection_is_an_error_of_the_store_under_the_services_own_loop(proxy):
    """uvloop says RuntimeError when one writes to it."""

    async def reset_while_idle():
        client = server.connect(proxy.url, deadline_s=30)
        await server.answer_of(client.ping())
        proxy.reset_peer = True
        proxy.cut()
        await asyncio.sleep(0.2)
        for _ in range(3):
            with pytest.raises(BucketError, match="did not answer"):
                await server.answer_of(client.ping())
        proxy.heal()
        assert await server.answer_of(client.ping())
        await client.aclose()

    uvloop.run(reset_while_idle())


@pytest.mark.parametrize("call", ["read", "server", "members"])
async def test_a_lost_answer_keeps_the_notary_for_its_own_deadline_not_that_of_arming(proxy, call):
    client = server.connect(proxy.url, deadline_s=60)
    bucket = Bucket(client, "tag", 7, SETTINGS)
    ask = {"read": lambda: bucket.read(1, 1, 0)}.get(call, getattr(bucket, call))
    await ask()
    proxy.drop_replies = True
    began = time.monotonic()
    with pytest.raises(BucketError, match="no answer in time"):
        await ask()
    assert time.monotonic() - began < 30
    proxy.heal()
    proxy.cut()
    await asyncio.sleep(0.1)
    await ask()
    await client.aclose()
