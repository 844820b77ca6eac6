"""The addresses a service listens at: held while it runs, and as others reach them."""

from __future__ import annotations

import asyncio
import errno
import socket


class PortError(Exception):
    """A port cannot be used; the message says why and what to do."""


def hold(what: str, host: str, port: int) -> socket.socket:
    """Return a socket that holds a port for the service's processes; any free one for 0.

    It does not listen. Nobody else can take the port then, neither before a process has started nor while
    it is started again. `what` is the port's name in options: public or operator.

    Raises:
        PortError: somebody has it, or the address is none of this machine's.
    """
    held = socket.socket(_family(host), socket.SOCK_STREAM)
    try:
        if port:
            _check_free(host, port)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as error:
        held.close()
        hint = (
            f"Is another streamcount running? Choose another with --{what}-port"
            if error.errno == errno.EADDRINUSE
            else f"Choose an address of this machine with --{what}-host, or another port with "
            f"--{what}-port"
        )
        raise PortError(
            f"the {what} port {host}:{port} cannot be used: {error.strerror}. {hint}"
        ) from error
    return held


async def answers(host: str, port: int) -> bool:
    """Tell whether something listens there."""
    try:
        _, writer = await asyncio.open_connection(_name(host), port)
    except OSError:
        return False
    writer.close()
    return True


def _check_free(host: str, port: int) -> None:
    """Raise OSError for a port that somebody has, even one who would share it."""
    with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _name(host: str) -> str:
    """Return an address one can connect to, for one that is listened on."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def in_url(host: str) -> str:
    """Return an address as it stands in a URL that reaches it."""
    name = _name(host)
    return f"[{name}]" if ":" in name else name
