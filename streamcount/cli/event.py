"""`streamcount event ...`: asks the running service."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from streamcount.cli.agreeing import (
    AuthorityOption,
    EndOption,
    QuorumOption,
    StartOption,
    WitnessOption,
    second_of,
    trust_of,
)
from streamcount.cli.sheet import event_sheet
from streamcount.cli.show import event_panel, events_table, instant
from streamcount.cli.terminal import DataOption, JsonOption, fail, load_settings, out, run
from streamcount.config import Settings
from streamcount.core.profile import PROFILES
from streamcount.tlog import note
from streamcount.tlog.policy import write_policy

event_app = typer.Typer(
    no_args_is_help=True,
    help="Create, list, show, open, close and correct events, exclude viewers, write notes.",
)


def call(
    data: Path | None, method: str, path: str, body: object = None, *, long: bool = False
) -> Any:
    """Ask the running service; `long`: it may count a whole event before it answers."""
    from streamcount.operator.client import LONG_S, find

    patience = {"patience_s": LONG_S} if long else {}

    async def ask() -> Any:
        async with find(load_settings(Settings, data=data).data) as client:
            return await client.call(method, path, body, **patience)

    return run(ask())


def call_event(
    data: Path | None,
    method: str,
    event_id: str,
    what: str = "",
    body: object = None,
    *,
    long: bool = False,
) -> Any:
    """Ask the running service about one event."""
    from streamcount.operator.client import event_path

    return call(data, method, event_path(event_id) + what, body, long=long)


@event_app.command("create")
def event_create(  # noqa: PLR0913, PLR0917 (options)
    event_id: Annotated[
        str, typer.Argument(help="Lower-case letters, digits and hyphens.", metavar="ID")
    ],
    title: Annotated[str, typer.Option(help="Title in English.")] = "",
    title_ar: Annotated[str, typer.Option(help="Title in Arabic.")] = "",
    kind: Annotated[
        str, typer.Option(help="attempt, rehearsal or demo; fixed for ever.")
    ] = "rehearsal",
    window: Annotated[int, typer.Option(help="Window W in seconds.")] = 30,
    interval: Annotated[int, typer.Option(help="Heartbeat interval in seconds.")] = 10,
    stream: Annotated[
        list[str] | None, typer.Option(help="A stream's id; may be repeated.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="A web origin whose pages count, such as https://school.example; may be repeated. "
            '"none": apps, which send no origin. Any page when not given.'
        ),
    ] = None,
    youtube: Annotated[
        list[str] | None,
        typer.Option(
            help="The YouTube video of a stream, id or address, for YouTube's own count; the first one "
            "of the first --stream, and so on."
        ),
    ] = None,
    claim: Annotated[
        str,
        typer.Option(
            help="Which number is claimed: proven, ours; platform, YouTube's own, which is not proven."
        ),
    ] = "proven",
    profile: Annotated[
        str | None,
        typer.Option(
            help=f"Rules the claim is measured by: {' or '.join(PROFILES)}, or a JSON file with your own. "
            f"No body that keeps records has endorsed any."
        ),
    ] = None,
    target: Annotated[int | None, typer.Option(help="Number to beat.")] = None,
    timezone: Annotated[
        str, typer.Option(help="In which instants are shown, for example Asia/Riyadh.")
    ] = "UTC",
    organiser: Annotated[str, typer.Option(help="Who organises it, in English.")] = "",
    organiser_ar: Annotated[str, typer.Option(help="Who organises it, in Arabic.")] = "",
    start: StartOption = None,
    end: EndOption = None,
    witness: WitnessOption = None,
    quorum: QuorumOption = None,
    authority: AuthorityOption = None,
    definition: Annotated[
        Path | None, typer.Option("--from", help="A JSON file with the whole definition; ID wins.")
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create an event: its log, its key, and what is agreed. Nothing is counted before it is opened."""
    plain: dict[str, Any] = {}
    if definition is not None:
        plain = _object_in(definition)
    else:
        plain = {"kind": kind, "window": window, "interval": interval}
        plain |= {"target": target, "timezone": timezone}
        plain["title"] = {"en": title or ("" if title_ar else event_id), "ar": title_ar}
        plain["organiser"] = {"en": organiser, "ar": organiser_ar}
        plain["planned_start"] = second_of(start, timezone, "--start")
        plain["planned_end"] = second_of(end, timezone, "--end")
        plain["claimed_count"] = claim
        if stream or youtube:
            plain["streams"] = _streams(stream or ["main"], youtube or [])
        if origin:
            plain["policy"] = {"origins": origin}
    if profile is not None:
        plain["rule_profile"] = profile if profile in PROFILES else _object_in(Path(profile))
    if witness or quorum is not None or authority:
        plain["trust"] = trust_of(witness, quorum, authority)
    created = call(data, "POST", "/api/events", plain | {"id": event_id})
    if as_json:
        print(json.dumps(created))
        return
    out.print(f"event {event_id} created. Its log's key, to be agreed on before it opens:")
    out.print(f"  {created['key']}", soft_wrap=True)
    out.print(f"Read and sign the sheet: streamcount event sheet {event_id} -o {event_id}.pdf")
    out.print(f"Open it with: streamcount event open {event_id}")


def _object_in(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        fail(f"{path}: cannot be read as JSON: {error}", 2)
    if not isinstance(plain, dict):
        fail(f"{path}: must hold a JSON object", 2)
    return plain


def _streams(names: list[str], videos: list[str]) -> list[dict[str, Any]]:
    if len(videos) > len(names):
        fail(f"--youtube: {len(videos)} videos for {len(names)} streams; give each its --stream", 2)
    streams: list[dict[str, Any]] = [{"id": name} for name in names]
    for stream, given in zip(streams, videos, strict=False):
        found = re.search(
            r"(?:[?&]v=|youtu\.be/|/live/|/embed/)([A-Za-z0-9_-]{11})(?![\w-])", given
        )
        stream["platform"] = {"name": "youtube", "video": found[1] if found else given}
    return streams


event_app.command("sheet")(event_sheet)


@event_app.command("list")
def event_list(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List all events."""
    events = call(data, "GET", "/api/events")
    if as_json:
        print(json.dumps(events))
        return
    out.print(events_table(events))


@event_app.command("show")
def event_show(event_id: str, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show an event: what is agreed, its key, and its latest numbers."""
    event = call_event(data, "GET", event_id)
    counts = call_event(data, "GET", event_id, "/counts")
    if as_json:
        print(json.dumps(event | {"counts": counts}))
        return
    out.print(event_panel(event, counts))


@event_app.command("policy")
def event_policy(event_id: str, data: DataOption = None) -> None:
    """Print whose cosignatures make a checkpoint a witnessed one, as a C2SP tlog-policy file."""
    event = call_event(data, "GET", event_id)
    trust = event["definition"]["trust"]
    witnesses = [(note.parse_witness(one["key"]), one["url"]) for one in trust["witnesses"]]
    print(write_policy(note.parse_vkey(event["key"]), witnesses, trust["quorum"]), end="")


@event_app.command("open")
def event_open(
    event_id: str,
    at: Annotated[
        int | None, typer.Option(help="First tick, in Unix seconds; soon when not given.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Open an event: from its first tick on, heartbeats count."""
    answer = call_event(data, "POST", event_id, "/open", {"at": at})
    out.print(
        f"event {event_id} counts from {instant(answer['first_tick'])}, tick {answer['first_tick']}"
    )


@event_app.command("close")
def event_close(event_id: str, data: DataOption = None) -> None:
    """Close an event. One window later everything is final, and the claim is in the log."""
    answer = call_event(data, "POST", event_id, "/close")
    out.print(f"event {event_id} counts until {instant(answer['close'])}, tick {answer['close']}")


@event_app.command("exclude")
def event_exclude(
    event_id: str,
    viewer: Annotated[
        list[str], typer.Option(help="The id a viewer's player sends; may be repeated.")
    ],
    reason: Annotated[str, typer.Option(help="Why; it is in the log for everybody to read.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave viewers out of all counts from now on, for everybody to see: the log says so for ever.

    The claim says both what there was with them (gross) and what there was without them from the first
    second on (net).
    """
    answer = call_event(data, "POST", event_id, "/exclude", {"viewers": viewer, "reason": reason})
    if as_json:
        print(json.dumps(answer))
        return
    for name, pseudonym in zip(viewer, answer["pseudonyms"], strict=True):
        out.print(f"{name} is counted no more; in the log as {pseudonym}", soft_wrap=True)


@event_app.command("note")
def event_note(
    event_id: str,
    text: Annotated[str, typer.Argument(help="An incident, a remark, a name; one line.")],
    data: DataOption = None,
) -> None:
    """Write something down in the event's log, where it stays for everybody to read."""
    answer = call_event(data, "POST", event_id, "/note", {"text": text})
    out.print(f"noted, as entry {answer['log_size'] - 1:,} of the log")


@event_app.command("correct")
def event_correct(
    event_id: str,
    reason: Annotated[str, typer.Option(help="Why; it is in the log for everybody to read.")],
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="The id of a viewer who is to be left out; may be repeated."),
    ] = None,
    exclude_reason: Annotated[
        str | None,
        typer.Option(
            help="Why they are left out, in at most 80 characters; the reason if not given."
        ),
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Supersede the claim of a final event: it is counted again, without more viewers if any are named.

    The claim before it stays in the log, and everybody is told that it was superseded, and why.
    """
    body = {"reason": reason, "viewers": exclude or [], "exclude_reason": exclude_reason}
    claim = call_event(data, "POST", event_id, "/correct", body, long=True)
    if as_json:
        print(json.dumps(claim))
        return
    value = "none" if claim["value"] is None else f"{claim['value']:,}"
    out.print(f"claim {claim['version']} of event {event_id}, in place of the one before: {value}")
