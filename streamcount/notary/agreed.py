"""What was agreed, in words: the sheet that organiser and adjudicator sign before an event opens.

It is written once, when the event is made, and its hash stands in the first entry of the log. So it is a
function of that entry alone, in both languages, whatever the machine's language and the hour. The sheet of
an event that is there is never made anew: its words may be others in a later version of this program.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import zoneinfo
from collections.abc import Iterator
from typing import Final

from streamcount.core.event import NO_ORIGIN, Event, Stream
from streamcount.core.fields import Title
from streamcount.core.sheet import BLANK, Block, Heading, Notice, Paragraph, Part, Row, Sheet, write
from streamcount.words import LANGUAGES, Catalogue, catalogue

# So many streams are told with title and source, more of them by their ids, and the rest are counted:
# all are in the first entry of the log.
STREAMS_TOLD: Final = 6
STREAMS_NAMED: Final = 40
ORIGINS_NAMED: Final = 10
# Of the key's SHA-256, in hexadecimal, what two people read to each other: 80 bits.
_GROUPS: Final = 5


def sheet_text(event: Event, origin: str, key: str, software: str) -> str:
    """Return the sheet of a new event. Deterministic, but for the machine's table of time zones."""
    told = [_Told(event, origin, key, software, catalogue(code)) for code in LANGUAGES]
    return write(Sheet(key, tuple(one.part() for one in told)))


def spoken(key: str) -> str:
    """Return the fingerprint of a key that people compare by reading it aloud."""
    digits = hashlib.sha256(key.encode()).hexdigest()
    return " ".join(digits[4 * n : 4 * n + 4] for n in range(_GROUPS))


class _Told:
    """The sheet in one language."""

    def __init__(
        self, event: Event, origin: str, key: str, software: str, words: Catalogue
    ) -> None:
        self._event = event
        self._origin, self._key, self._software = origin, key, software
        self._words = words
        self.say = words.say

    def part(self) -> Part:
        blocks = [
            *self._head(),
            Heading(self.say("sheet_event")),
            *self._about(),
            Heading(self.say("sheet_number")),
            *self._number(),
            Heading(self.say("sheet_rules")),
            *self._rules(),
            Heading(self.say("sheet_others")),
            *self._others(),
            Heading(self.say("sheet_log")),
            *self._log(),
            Heading(self.say("sheet_checking")),
            *self._checking(),
            Heading(self.say("sheet_signed")),
            *self._signed(),
        ]
        return Part(self.say("sheet_title"), tuple(blocks))

    def _head(self) -> Iterator[Block]:
        if self._event.kind != "attempt":
            marks = " / ".join(
                dict.fromkeys(
                    catalogue(code).say("rehearsal") for code in (self._words.language, *LANGUAGES)
                )
            )
            yield Notice(self.say("sheet_rehearsal", mark=marks))
        yield Paragraph(self.say("sheet_purpose"))

    def _about(self) -> Iterator[Block]:
        event, say = self._event, self.say
        yield Row(say("sheet_label_title"), self._both(event.title))
        yield Row(say("sheet_label_id"), self._ltr(event.id))
        yield Row(say("sheet_label_organiser"), self._both(event.organiser) or BLANK)
        yield Row(say("sheet_label_kind"), say(f"kind_{event.kind}"))
        yield Row(say("sheet_label_start"), self._when(event.planned_start))
        yield Row(say("sheet_label_end"), self._when(event.planned_end))
        count = len(event.streams)
        if count <= STREAMS_TOLD:
            for stream in event.streams:
                yield Row(say("sheet_label_stream"), self._stream(stream))
        else:
            names = ", ".join(stream.id for stream in event.streams[:STREAMS_NAMED])
            more = count - STREAMS_NAMED
            yield Row(say("sheet_label_streams"), f"{count:,}: {self._ltr(names)}")
            if more > 0:
                yield Paragraph(say("sheet_streams_more", n=f"{more:,}"))
        target = say("sheet_none") if event.target is None else f"{event.target:,}"
        yield Row(say("sheet_label_target"), target)

    def _number(self) -> Iterator[Block]:
        event, say = self._event, self.say
        names = sorted({video.name for video in event.on_platforms.values()})
        if event.claimed_count == "platform":
            claimed = say("sheet_claimed_platform", name=self._ltr(", ".join(names)))
        else:
            claimed = say("sheet_claimed_proven")
        yield Row(say("sheet_label_claimed"), claimed)
        yield Paragraph(say("sheet_meaning", n=event.window, n_interval=event.interval))
        yield Paragraph(say("sheet_not_people"))
        yield Row(say("sheet_label_counts"), " ".join(self._policy()))

    def _policy(self) -> Iterator[str]:
        policy, say = self._event.policy, self.say
        yield say("sheet_progress") if policy.progress else say("sheet_progress_not")
        yield say("sheet_hidden") if policy.hidden_counts else say("sheet_hidden_not")
        yield say("sheet_muted") if policy.muted_counts else say("sheet_muted_not")
        if not policy.origins:
            yield say("sheet_origins_any")
            return
        apps = say("sheet_origin_none")
        names = [apps if one == NO_ORIGIN else self._ltr(one) for one in policy.origins]
        more = len(names) - ORIGINS_NAMED
        told = say("sheet_comma").join(names[:ORIGINS_NAMED])
        yield say("sheet_origins", names=told)
        if more > 0:
            yield say("sheet_origins_more", n=more)

    def _rules(self) -> Iterator[Block]:
        rules, say = self._event.rule_profile, self.say
        yield Row(say("sheet_label_profile"), self._ltr(rules.id))
        asked = []
        if rules.duration_s:
            asked.append(say("sheet_duration", n=f"{rules.duration_s:,}"))
        if rules.presence_s:
            asked.append(say("sheet_presence", n=f"{rules.presence_s:,}"))
        asked.append(say("sheet_single") if rules.single_stream else say("sheet_any_streams"))
        asked.append(say("sheet_net") if rules.count == "net" else say("sheet_gross"))
        yield Paragraph(" ".join(asked))
        yield Paragraph(say("sheet_unendorsed"))

    def _others(self) -> Iterator[Block]:
        trust, say = self._event.trust, self.say
        for witness in trust.witnesses:
            name, url = self._ltr(witness.key), self._ltr(witness.url)
            asked = say("sheet_witness", name=name, url=url) if url else name
            yield Row(say("sheet_label_witness"), asked)
        if trust.witnesses:
            yield Paragraph(say("sheet_quorum", n=trust.quorum, n_all=len(trust.witnesses)))
        else:
            yield Row(say("sheet_label_witness"), say("sheet_witness_none"))
        for one in trust.authorities:
            root = self._ltr(one.root_sha256.hex())
            name, url = self._ltr(one.name), self._ltr(one.url)
            yield Row(
                say("sheet_label_authority"), say("sheet_authority", name=name, url=url, root=root)
            )
        if not trust.authorities:
            yield Row(say("sheet_label_authority"), say("sheet_authority_none"))

    def _log(self) -> Iterator[Block]:
        say = self.say
        yield Row(say("sheet_label_origin"), self._ltr(self._origin))
        yield Row(say("sheet_label_key"), self._ltr(self._key))
        yield Row(say("sheet_label_spoken"), self._ltr(spoken(self._key)))
        yield Row(say("sheet_label_software"), self._ltr(self._software))

    def _checking(self) -> Iterator[Block]:
        say = self.say
        yield Paragraph(say("sheet_keep", name=self._ltr("sheet.txt")))
        yield Paragraph(say("sheet_follow", command=self._ltr("streamcount follow")))
        command = self._ltr("streamcount verify PACK.zip --sheet sheet.txt")
        yield Paragraph(say("sheet_verify", command=command))

    def _signed(self) -> Iterator[Block]:
        say = self.say
        for label in (
            say("sheet_label_organiser"),
            say("sheet_label_adjudicator"),
            say("sheet_label_date"),
            say("sheet_label_place"),
        ):
            yield Row(label, BLANK)

    # --- Values ---

    def _both(self, title: Title) -> str:
        """Return a title in this language and then the other, as far as they are there."""
        own, other = (title.ar, title.en) if self._words.language == "ar" else (title.en, title.ar)
        return " / ".join(dict.fromkeys(_one_line(text) for text in (own, other) if text))

    def _stream(self, stream: Stream) -> str:
        title = self._both(stream.title)
        shown = [self._ltr(stream.id)]
        if title and title != stream.id:
            shown.append(title)
        if stream.source:
            shown.append(self._ltr(_one_line(stream.source)))
        if stream.platform is not None:
            shown.append(self._ltr(f"{stream.platform.name} {stream.platform.video}"))
        return self.say("sheet_comma").join(shown)

    def _when(self, second: int | None) -> str:
        if second is None:
            return self.say("sheet_not_fixed")
        zone = self._event.timezone
        try:
            where: dt.tzinfo = zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            where, zone = dt.UTC, "UTC"
        try:
            times = [self._moment(second, where, zone)]
            if zone != "UTC":
                times.append(self._moment(second, dt.UTC, "UTC"))
        except (ValueError, OverflowError, OSError):
            return self.say("verify_beyond_calendar", tick=second)
        return " = ".join(times)

    def _moment(self, second: int, where: dt.tzinfo, zone: str) -> str:
        at = dt.datetime.fromtimestamp(second, where)
        # In Arabic numerals a hyphen would turn the order of a date.
        date = f"{at:%Y/%m/%d}" if self._words.language == "ar" else f"{at:%Y-%m-%d}"
        time = self._ltr(f"{at:%H:%M:%S}")
        return self.say("sheet_when", date=self._ltr(date), time=time, zone=self._ltr(zone))

    def _ltr(self, text: str) -> str:
        return self._words.ltr(text) if text else ""


def _one_line(text: str) -> str:
    """Return text on one line: a definition from elsewhere may hold anything."""
    return " ".join(text.split())
