"""Calling a script: by its hash, with its text where the server does not have it, on any deployment.

Each script is a .lua file here. A server that was started anew has forgotten all of them; it is then
given the text, in the same place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final

from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from streamcount.store.server import Client, answer_of, drop_connections

# What stands in front of a script that works on an armed bucket.
_HEADS: Final = {
    "flush": ("fence", "sealing"),
    "read": ("fence", "sealing"),
    "advance": ("fence",),
}


def script_text(name: str) -> str:
    """Return a script as the server gets it: the fence in front where it has one."""
    folder = resources.files("streamcount.store")
    parts = (*_HEADS.get(name, ()), name)
    return "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in parts)


class Script:
    """A script of the store."""

    def __init__(self, name: str) -> None:
        """`name` is that of its file."""
        self._text = script_text(name)
        self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def call(
        self,
        client: Client,
        keys: Sequence[str],
        args: Sequence[Any],
        deadline_s: float | None = None,
    ) -> Any:
        """Run it on the server that has the keys, all of one hash slot; None: the client's deadline.

        Raises:
            BucketError: no answer within the deadline, or an error for an answer.
        """
        return await answer_of(self._run(client, keys, args), deadline_s)

    async def _run(self, client: Client, keys: Sequence[str], args: Sequence[Any]) -> Any:
        try:
            try:
                return await client.evalsha(self._sha, len(keys), *keys, *args)
            except NoScriptError:
                return await client.eval(self._text, len(keys), *keys, *args)
        except ResponseError as error:
            # Before version 7, a script's own error has another one inside.
            if isinstance(error, ReadOnlyError) or "READONLY" in str(error):
                # Its master is elsewhere now, and a new connection may lead there.
                await drop_connections(client)
            raise
