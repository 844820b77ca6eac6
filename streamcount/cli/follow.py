"""`streamcount follow` and `streamcount adopt`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from streamcount.cli.report import LangOption, chosen
from streamcount.cli.telling import Teller
from streamcount.cli.terminal import (
    DataOption,
    JsonOption,
    err,
    fail,
    load_settings,
    out,
    run,
)
from streamcount.config import FollowLimits, PackLimits, Settings
from streamcount.tlog import note

if TYPE_CHECKING:
    from streamcount.follow.following import Follower
    from streamcount.follow.probe import Watch
    from streamcount.follow.source import Source

ALARM: Final = 3
MISSING: Final = 4


def follow(  # noqa: PLR0913, PLR0917 (options)
    url: Annotated[
        str, typer.Argument(help="Of the log: http(s)://HOST/v1/events/ID/log", metavar="URL")
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Where the copy is.", show_default="followed/<origin>"),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="The log's key as agreed beforehand, or a file that holds it."),
    ] = None,
    operator: Annotated[
        str | None, typer.Option(help="Address of the operators' API: copy bodies, and recount.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file that holds the operators' token.")
    ] = None,
    probe: Annotated[
        int, typer.Option(help="Join so many known viewers, who are excluded first.", min=0)
    ] = 0,
    probe_seconds: Annotated[float, typer.Option(help="How long they watch.", min=1)] = 30.0,
    stall: Annotated[
        float | None, typer.Option(help="Seconds of silence that are told.", show_default="60")
    ] = None,
    cosign: Annotated[
        Path | None,
        typer.Option(help="A witness's private key: cosign what is followed, and post that."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Follow up to now, and end.")] = False,
    lang: LangOption = None,
    as_json: JsonOption = False,
) -> None:
    """Follow an event's log from outside, and keep a copy: every checkpoint must extend the last one.

    With --operator, bodies are copied too and everything is counted again. Exit status 0: followed to
    the end. 1: refused. 3: ALARM, the log broke its word; the proof is kept in the copy. 4: a probe's
    acknowledged heartbeat is missing, in a tick that the log has reached.
    """
    from streamcount.follow.alarm import AlarmError
    from streamcount.follow.copy import Copy, CopyError
    from streamcount.follow.cosigning import KeyFileError
    from streamcount.follow.following import Follower
    from streamcount.follow.source import AwayError, RefusedError, Source

    limits = load_settings(FollowLimits, stall_s=stall)
    if (operator is None) != (token_file is None):
        fail("--operator and --token-file go together", 2)
    if probe and operator is None:
        fail("--probe needs --operator and --token-file: probes are excluded before they join", 2)
    if probe > limits.probes_max:
        fail(f"--probe: {limits.probes_max} at most", 2)
    _check_address(url, "URL", "http(s)://HOST/v1/events/ID/log")
    if operator is not None:
        _check_address(operator, "--operator", "http(s)://HOST:PORT")
    vkey = _key(key) if key else None
    token = _token(token_file) if token_file else ""
    tell = Teller(chosen(lang), as_json=as_json)

    async def work() -> int:
        async with Source(url, limits, operator=operator, token=token) as source:
            where = folder or Path("followed") / safe_name(await _origin(source, vkey))
            copy = Copy(where)
            try:
                follower = Follower(source, copy, limits, tell)
                await asyncio.to_thread(follower.begin, vkey)
                with _cosigning(follower, cosign, limits):
                    if probe:
                        return await _with_probes(follower, probe, probe_seconds, limits, once=once)
                    await follower.run(lambda: once)
            finally:
                copy.close()
        return 0

    try:
        raise typer.Exit(run(work()))
    except AlarmError as error:
        tell("alarm", kind=error.kind, what=str(error), folder=str(error.folder))
        raise typer.Exit(ALARM) from error
    except (RefusedError, CopyError, KeyFileError, AwayError, note.NoteError, OSError) as error:
        fail(error)


@contextlib.contextmanager
def _cosigning(follower: Follower, key: Path | None, limits: FollowLimits) -> Iterator[None]:
    """Have a follower cosign with a key, if there is one."""
    from streamcount.follow.cosigning import Cosigner, Memory, read_key

    if key is None:
        yield
        return
    signer, memory = read_key(key), Memory(key)
    try:
        follower.afterwards = Cosigner(follower, signer, memory, limits).look
        yield
    finally:
        memory.close()


def witness_key(
    name: Annotated[
        str, typer.Argument(help="Who you are: a domain or address you own, no spaces.")
    ],
    path: Annotated[Path, typer.Argument(help="Where the private key is, or shall be.")],
) -> None:
    """Make a witness's key, unless there is one, and print the public half, which goes on the sheet.

    Keep the file to yourself, and the folder beside it: it remembers what was cosigned.
    """
    from streamcount.follow.cosigning import KeyFileError, make_key
    from streamcount.tlog.cosignature import witness_of

    try:
        print(witness_of(make_key(name, path)).vkey())
    except KeyFileError as error:
        fail(error)


def _check_address(url: str, what: str, form: str) -> None:
    """End if this cannot be an address, however often it is tried."""
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        fail(f"{what} {url}: is no address; it must be {form}", 2)


def _key(given: str) -> str:
    if "+" in given:
        return given
    try:
        return Path(given).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        fail(
            f"--key {given}: neither a key (NAME+ID+KEY, as `event create` printed it) nor a file that "
            f"holds one: {why}",
            2,
        )


def _token(path: Path) -> str:
    """Return the operators' token: one word, as a header can carry it."""
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not plain text"
        fail(f"--token-file {path}: {why}; give the operator.token of the service's data", 2)
    if not token or not token.isprintable() or " " in token:
        fail(f"--token-file {path}: must hold the operators' token, one word in one line", 2)
    return token


async def _origin(source: Source, vkey: str | None) -> str:
    if vkey is not None:
        return note.parse_vkey(vkey).name
    return note.peek(await source.checkpoint()).partition("\n")[0]


def safe_name(origin: str) -> str:
    """Return a folder's name that belongs to this origin alone, whatever is in it."""
    readable = re.sub(r"[^A-Za-z0-9-]+", "_", origin)[:80].strip("_")
    return f"{readable}-{hashlib.sha256(origin.encode()).hexdigest()[:8]}"


async def _with_probes(
    follower: Follower, count: int, seconds: float, limits: FollowLimits, *, once: bool
) -> int:
    from streamcount.follow.probe import probe

    probing = asyncio.create_task(probe(follower, count, seconds, limits))
    following = asyncio.create_task(follower.run(lambda: once and probing.done()))
    try:
        await asyncio.wait({probing, following}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
        watch = await probing
        ahead, status = watch.ahead, _tell_probes(watch)
        # What was found does not end the following, nor does it change any more.
        await following
        if ahead > watch.ahead:
            status = _tell_probes(watch)
        return status
    finally:
        probing.cancel()
        following.cancel()
        await asyncio.gather(probing, following, return_exceptions=True)


def _tell_probes(watch: Watch) -> int:
    """Tell what became of the probes; return the exit status that this comes to."""
    names = ("probe", "acked", "in the log", "missing", "not reached", "unanswered")
    table = Table(*names, box=box.SIMPLE)
    lost: list[dict[str, Any]] = []
    for one in watch.probes:
        gone, ahead = one.missing(watch.last), one.ahead(watch.last)
        row = (one.acks, one.acks - len(gone) - ahead, len(gone), ahead, one.unanswered)
        style = "bold red" if gone else ""
        table.add_row(one.name.hex()[:12], *map(str, row), style=style)
        lost += [{"viewer": one.viewer, "tick": tick} for tick in gone]
    acked, ahead = sum(one.acks for one in watch.probes), watch.ahead
    err.print(table)
    facts = {"type": "probe", "probes": len(watch.probes), "acked": acked, "missing": lost}
    print(json.dumps(facts | {"not_reached": ahead}), flush=True)
    said = ""
    if lost:
        said = f"--probe: {len(lost)} acknowledged heartbeats are MISSING in the log"
    elif not acked:
        said = (
            "--probe: no heartbeat was acknowledged, so nothing was checked: can viewers connect?"
        )
    elif ahead:
        said = f"--probe: the log, as far as it was read, has not reached {ahead} acknowledged heartbeats"
    if said:
        err.print(Text(said, style="bold red" if lost else "yellow"), soft_wrap=True)
    return MISSING if lost else int(bool(said))


def adopt_command(
    copy: Annotated[Path, typer.Argument(help="A copy made by follow --operator.", metavar="COPY")],
    published: Annotated[
        str,
        typer.Option(
            help="The latest checkpoint anybody was shown: a file, its address, or the log's (.../log)."
        ),
    ],
    keys: Annotated[
        Path, typer.Option(help="Folder with signing.key and pseudonym.key, from a backup.")
    ],
    data: DataOption = None,
) -> None:
    """Make an archive of a followed copy, so that `serve` goes on counting on this host.

    Only when the service that wrote the log is gone for good: two must never write one log. Refused
    unless the copy holds wholly, with all bodies, and has reached the checkpoint that was published.
    """
    from streamcount.adopt import AdoptError, adopt

    if not (copy / "checkpoint").is_file():
        fail(f"COPY {copy}: holds no checkpoint; give the folder that `follow --operator` wrote")
    try:
        shown_point = _published(published)
        taken = adopt(
            copy,
            shown_point,
            keys,
            load_settings(Settings, data=data).data,
            load_settings(PackLimits),
        )
    except (AdoptError, OSError) as error:
        fail(error)
    out.print(
        f"event {taken.event_id}: {taken.size:,} entries taken over, peak so far {taken.peak:,}"
    )
    if taken.missing:
        err.print(
            f"streamcount: neither the copy nor the keys' folder has {', '.join(taken.missing)}, as it was "
            f"agreed. Counting goes on; nothing can be exported until it is put into "
            f"events/{taken.event_id}/ from elsewhere"
        )
    out.print(
        "Make sure that the service that wrote this log never starts again: two that write one log "
        "make a fork. Then: streamcount serve"
    )


def _published(where: str) -> bytes:
    """Return a checkpoint from a file or an address, which may be that of its log."""
    if not where.startswith(("http://", "https://")):
        try:
            return Path(where).read_bytes()
        except OSError as error:
            fail(
                f"--published {where}: {error.strerror}; give a file with a checkpoint, such as the one "
                f"in a follower's folder, or http(s)://HOST/v1/events/ID/log"
            )
    _check_address(where, "--published", "http(s)://HOST/v1/events/ID/log")
    url = where.rstrip("/")
    url += "/checkpoint" if url.endswith("/log") else ""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 (checked above)
            return bytes(answer.read(note.NOTE_BYTES_MAX + 1))
    except (OSError, http.client.HTTPException, ValueError) as error:
        fail(f"--published {url}: {str(error)[:300]}. A checkpoint kept in a file will do as well")
