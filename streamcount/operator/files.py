"""The files that the operators' port answers with: console, catalogue, the API's description."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

# Named, not looked up by what a stranger asks for; types that do not depend on the machine's table.
_KINDS: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_FILES: Final = {
    path.name: path
    for path in (Path(__file__).parent / "static").iterdir()
    if path.suffix in _KINDS
}
SAFE: Final = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


async def console(_: web.Request) -> web.FileResponse:
    """Answer with the console's page."""
    return web.FileResponse(_FILES["index.html"], headers=SAFE)


async def static(request: web.Request) -> web.FileResponse:
    """Answer with a file of the console."""
    path = _FILES.get(request.match_info["file"])
    if path is None:
        raise web.HTTPNotFound(text="there is no such file")
    return web.FileResponse(path, headers=SAFE | {"Content-Type": _KINDS[path.suffix]})


async def words(request: web.Request) -> web.FileResponse:
    """Answer with the catalogue in one language."""
    name = f"{request.match_info['language']}.json"
    return web.FileResponse(Path(__file__).parent.parent / "words" / name, headers=SAFE)


async def described(_: web.Request) -> web.FileResponse:
    """Answer with the description of this port."""
    return web.FileResponse(
        Path(__file__).parent.parent / "openapi" / "operator.json", headers=SAFE
    )
