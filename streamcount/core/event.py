"""An event: what organiser and adjudicator agree on before it opens, and nobody changes after.

It is the first entry of the event's log. `parse_event` is the only way to make one, from an
operator's request as from a log entry, so whatever is an `Event` keeps the rules below.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Final

from streamcount.core.fields import EventError, Fields, Title
from streamcount.core.profile import (
    COUNTED,
    NEUTRAL,
    PROFILE_ID,
    PROFILE_TICKS_MAX,
    PROFILES,
    RuleProfile,
)
from streamcount.core.trust import Trust, parse_trust

KINDS: Final = ("attempt", "rehearsal", "demo")
CLAIMED_COUNTS: Final = ("proven", "platform")
STATES: Final = ("playing", "paused", "buffering", "ended")

# Bounds of the format, not of a machine: docs/evidence-format.md states them.
SOURCE_CHARACTERS_MAX: Final = 500
STREAMS_MAX: Final = 500
WINDOW_TICKS_MAX: Final = 600
TARGET_MAX: Final = 10**9
ORIGINS_MAX: Final = 50
ORIGIN_CHARACTERS_MAX: Final = 300
EVENT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
PLATFORM = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
VIDEO = re.compile(r"[A-Za-z0-9._-]{1,128}")
STREAM_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
# A web origin as browsers send it (RFC 6454 section 6.2), and in its place the word for requests that have
# none, as those of apps.
WEB_ORIGIN = re.compile(
    r"(?!http:.*:80$|https:.*:443$)"
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?"
)
NO_ORIGIN: Final = "none"
TIMEZONE = re.compile(r"[A-Za-z0-9+_/-]{1,64}")

DEFAULT_WINDOW_TICKS: Final = 30
DEFAULT_INTERVAL_TICKS: Final = 10


class ActRefusedError(Exception):
    """What an operator asked for cannot be done now; the message says why and what to do."""


class ServiceAwayError(ActRefusedError):
    """The service does not answer at all; it may do so again."""


@dataclass(frozen=True, slots=True)
class Video:
    """Where a platform shows a stream: the platform's name, and what it calls the stream."""

    name: str
    video: str


@dataclass(frozen=True, slots=True)
class Stream:
    """One source inside an event. Its position in the event's list is its number.

    `platform`: who is asked for their own count of it, if anybody.
    """

    id: str
    title: Title
    source: str
    platform: Video | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What makes a heartbeat qualify or break.

    `playing` qualifies and `paused` and `ended` break, always. `progress`: the position must have
    advanced within the window. `hidden_counts`: a hidden page's heartbeat qualifies; if not, it
    breaks. `muted_counts`: a muted player's heartbeat qualifies; if not, it does nothing.
    `origins`: the web origins whose pages may count, and "none" for what sends no origin; empty: any.
    """

    progress: bool
    hidden_counts: bool
    muted_counts: bool
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """The agreed definition. Times are Unix seconds; window and interval are ticks (seconds)."""

    id: str
    kind: str
    title: Title
    organiser: Title
    timezone: str
    planned_start: int | None
    planned_end: int | None
    streams: tuple[Stream, ...]
    window: int
    interval: int
    policy: Policy
    rule_profile: RuleProfile
    target: int | None
    claimed_count: str
    trust: Trust

    @property
    def on_platforms(self) -> dict[int, Video]:
        """The streams that a platform is asked for, by their numbers."""
        return {n: one.platform for n, one in enumerate(self.streams) if one.platform is not None}

    def as_dict(self) -> dict[str, Any]:
        """Return the definition as plain values, which `parse_event` reads back to an equal one."""
        plain = asdict(self)
        plain["streams"] = list(plain["streams"])
        plain["policy"]["origins"] = list(plain["policy"]["origins"])
        plain["trust"] = self.trust.as_dict()
        return plain


def parse_event(given: object) -> Event:
    """Check a definition and fill in the defaults.

    Raises:
        EventError: a field is missing, unknown, of another type, or breaks a rule.
    """
    fields = Fields(given, "event")
    window = fields.integer("window", 1, WINDOW_TICKS_MAX, DEFAULT_WINDOW_TICKS)
    interval = fields.integer("interval", 1, WINDOW_TICKS_MAX, DEFAULT_INTERVAL_TICKS)
    if window < 2 * interval + 5:
        msg = (
            f"event.window: {window} is too short for an interval of {interval}: a viewer whose "
            f"heartbeats come late must stay in the window, so it has to be at least "
            f"2 x interval + 5 = {2 * interval + 5}"
        )
        raise EventError(msg)
    start = fields.integer("planned_start", 0, 2**40, None)
    end = fields.integer("planned_end", 0, 2**40, None)
    if start is not None and end is not None and end <= start:
        msg = "event.planned_end: must be later than planned_start"
        raise EventError(msg)
    event = Event(
        id=fields.text("id", EVENT_ID, "lower-case letters, digits and hyphens, at most 64"),
        kind=fields.choice("kind", KINDS, "rehearsal"),
        title=fields.title("title"),
        organiser=fields.title("organiser", Title("", "")),
        timezone=fields.text("timezone", TIMEZONE, "a zone's name such as Asia/Riyadh", "UTC"),
        planned_start=start,
        planned_end=end,
        streams=_streams(fields.take("streams", [{"id": "main"}])),
        window=window,
        interval=interval,
        policy=_policy(fields.take("policy", {})),
        rule_profile=_profile(fields.take("rule_profile", NEUTRAL)),
        target=fields.integer("target", 1, TARGET_MAX, None),
        claimed_count=fields.choice("claimed_count", CLAIMED_COUNTS, "proven"),
        trust=parse_trust(fields.take("trust", {})),
    )
    fields.done()
    if event.claimed_count == "platform" and not event.on_platforms:
        msg = "event.claimed_count: platform, but no stream has a platform to be asked"
        raise EventError(msg)
    return event


def check_texts(event: Event) -> None:
    """Check that the texts of a new event can be printed and mean what they look like.

    Not part of the format: which characters there are depends on the Unicode of the day.

    Raises:
        EventError: one holds a control, or turns the direction of writing.
    """
    titles = [("title", event.title), ("organiser", event.organiser)]
    titles += [(f"streams[{n}].title", stream.title) for n, stream in enumerate(event.streams)]
    texts = [(f"{place}.{lang}", getattr(t, lang)) for place, t in titles for lang in ("ar", "en")]
    texts += [(f"streams[{n}].source", stream.source) for n, stream in enumerate(event.streams)]
    texts += event.trust.texts()
    for place, text in texts:
        check_text(text, f"event.{place}")


def check_profile(event: Event) -> None:
    """Check that a new event's profile is the one whose name it has.

    Not part of the format, in which a name is for people.

    Raises:
        EventError: it is another one.
    """
    own = event.rule_profile
    if own != PROFILES.get(own.id, own):
        raise EventError(
            f"event.rule_profile.id: {own.id} is the name of other rules; give yours another name"
        )


def check_text(text: str, place: str) -> None:
    """Check that a text can be printed and means what it looks like.

    Raises:
        EventError: it holds a control, or turns the direction of writing.
    """
    # Joiners are needed to write Arabic script well; controls that turn its direction are not.
    if not text.replace("\u200c", "").replace("\u200d", "").isprintable():
        raise EventError(f"{place}: must be printable text")


def _streams(given: object) -> tuple[Stream, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= STREAMS_MAX:
        msg = f"event.streams: must be a list of 1 to {STREAMS_MAX} streams"
        raise EventError(msg)
    streams = []
    for number, item in enumerate(given):
        fields = Fields(item, f"event.streams[{number}]")
        stream_id = fields.text("id", STREAM_ID, "letters, digits, dots and hyphens, at most 64")
        title = fields.title("title", Title("", stream_id))
        source = fields.plain("source", SOURCE_CHARACTERS_MAX, "")
        platform = _platform(fields.take("platform", None), f"event.streams[{number}].platform")
        streams.append(Stream(stream_id, title, source, platform))
        fields.done()
    if len({stream.id for stream in streams}) != len(streams):
        msg = "event.streams: two streams have the same id"
        raise EventError(msg)
    videos = [stream.platform for stream in streams if stream.platform is not None]
    if len(set(videos)) != len(videos):
        msg = (
            "event.streams: two streams have the same platform and video, whose viewers would be "
            "counted twice; leave the platform out of all but one"
        )
        raise EventError(msg)
    return tuple(streams)


def _platform(given: object, place: str) -> Video | None:
    if given is None:
        return None
    fields = Fields(given, place)
    video = Video(
        name=fields.text("name", PLATFORM, "lower-case letters, digits and hyphens, at most 32"),
        video=fields.text("video", VIDEO, "letters, digits and . _ -, at most 128"),
    )
    fields.done()
    return video


def _policy(given: object) -> Policy:
    fields = Fields(given, "event.policy")
    policy = Policy(
        progress=fields.flag("progress", default=True),
        hidden_counts=fields.flag("hidden_counts", default=True),
        muted_counts=fields.flag("muted_counts", default=True),
        origins=_origins(fields.take("origins", [])),
    )
    fields.done()
    return policy


def _origins(given: object) -> tuple[str, ...]:
    place = "event.policy.origins"
    if not isinstance(given, list) or len(given) > ORIGINS_MAX:
        msg = f"{place}: must be a list of at most {ORIGINS_MAX} origins"
        raise EventError(msg)
    for number, origin in enumerate(given):
        fits = isinstance(origin, str) and len(origin) <= ORIGIN_CHARACTERS_MAX
        if not fits or not (origin == NO_ORIGIN or WEB_ORIGIN.fullmatch(origin)):
            msg = (
                f"{place}[{number}]: must be an origin such as https://school.example or "
                f"https://school.example:8443, in lower case, without path, slash at the end, or the "
                f'port that is standard; or "{NO_ORIGIN}" for apps, which send none'
            )
            raise EventError(msg)
    if len(set(given)) != len(given):
        msg = f"{place}: the same origin is there twice"
        raise EventError(msg)
    return tuple(given)


def _profile(given: object) -> RuleProfile:
    """Take a profile: an object, or the name of one of ours, as operators give it."""
    if isinstance(given, RuleProfile):
        return given
    if isinstance(given, str):
        if given not in PROFILES:
            msg = f"event.rule_profile: must be an object, or one of {', '.join(PROFILES)}"
            raise EventError(msg)
        return PROFILES[given]
    fields, most = Fields(given, "event.rule_profile"), PROFILE_TICKS_MAX
    profile = RuleProfile(
        id=fields.text("id", PROFILE_ID, "lower-case letters, digits and hyphens, at most 64"),
        duration_s=fields.integer("duration_s", 0, most, NEUTRAL.duration_s),
        presence_s=fields.integer("presence_s", 0, most, NEUTRAL.presence_s),
        single_stream=fields.flag("single_stream", default=NEUTRAL.single_stream),
        count=fields.choice("count", COUNTED, NEUTRAL.count),
    )
    fields.done()
    return profile
