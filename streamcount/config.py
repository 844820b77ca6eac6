"""Every limit and every setting, with its unit in its name.

Each can be set by an environment variable: STREAMCOUNT_ and the name in capitals, for example
STREAMCOUNT_HOLD_S=20. Bounds that belong to a format (the length of a message or an entry) stand with
the format, in core and tlog.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamcount.core.sharing import BUCKETS_MAX
from streamcount.core.trace import HEARTBEATS_MAX

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Bytes = Annotated[int, Field(ge=1, le=2**40)]
Port = Annotated[int, Field(ge=0, le=65_535)]


class Settings(BaseSettings):
    """Settings of the service. Defaults work on a laptop and for most events."""

    model_config = SettingsConfigDict(env_prefix="STREAMCOUNT_", extra="forbid", frozen=True)

    # --- Where things are -------------------------------------------------------------------------
    data: Path = Field(
        Path("streamcount-data"), description="directory of logs, keys and the token"
    )
    redis_url: str | None = Field(None, description="a real server; embedded Valkey when not set")
    public_host: str = Field("127.0.0.1", description="address viewers connect to")
    public_port: Port = Field(8080, description="port viewers connect to")
    operator_host: str = Field("127.0.0.1", description="address of console, API and metrics")
    operator_port: Port = Field(8081, description="port of console, API and metrics")
    kept_checkpoints: Path | None = Field(
        None, description="folder of checkpoints kept elsewhere; an archive behind one is refused"
    )
    workers: Annotated[int, Field(ge=1, le=256)] = Field(2, description="ingest processes")
    tls_cert: Path | None = Field(None, description="certificate chain (PEM) for the public port")
    tls_key: Path | None = Field(None, description="private key (PEM) for the public port")
    origin_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,200}$")] = Field(
        "streamcount.invalid", description="first part of every log's origin; a domain you own"
    )

    # --- Counting ---------------------------------------------------------------------------------
    seal_lag_s: Seconds = Field(1.0, description="a tick is closed this long after its second")
    hold_s: Seconds = Field(15.0, description="how long a tick waits for a worker that is silent")
    held_ticks_max: Count = Field(60, description="ticks a worker keeps until they are archived")
    held_bytes_max: Bytes = Field(256 * 2**20, description="memory a worker keeps them in")
    unarchived_ticks_max: Count = Field(120, description="ticks sealed ahead of the archive")
    viewers_max: Count = Field(50_000_000, description="viewers registered in one event")
    members_max: Count = Field(1_000, description="ingest workers of one event")
    strangers_per_flush_max: Count = Field(5_000, description="viewers registered in one call")
    ticks_per_read_max: Count = Field(8, description="sealed ticks the notary reads in one call")
    journal_per_read_max: Count = Field(1_000, description="journal entries it reads in one call")
    open_delay_s: Seconds = Field(3.0, description="from opening an event to its first tick")
    open_ahead_days_max: Count = Field(366, description="how far ahead an event may be opened")
    close_delay_s: Seconds = Field(2.0, description="from closing an event to its last tick")
    kept_files_max: Count = Field(1_000_000, description="files in kept_checkpoints")
    events_max: Count = Field(1_000, description="events in one data directory")
    uncertain_after_s: Seconds = Field(5.0, description="archive lag after which live is uncertain")

    # --- Store ------------------------------------------------------------------------------------
    buckets: Annotated[int, Field(ge=1, le=BUCKETS_MAX)] = Field(
        1, description="buckets an event is shared out over; more than one for a cluster's masters"
    )
    store_deadline_s: Seconds = Field(1.0, description="longest wait for an answer of the store")
    notary_deadline_s: Seconds = Field(
        5.0, description="longest wait of the notary for an answer, but for arming"
    )
    masters_age_s: Seconds = Field(
        5.0, description="how long it is believed where a sentinel or cluster has its masters"
    )
    arm_deadline_s: Seconds = Field(60.0, description="longest wait for one step of arming")
    store_retry_s: Seconds = Field(0.25, description="pause before asking the store again")
    notary_poll_s: Seconds = Field(0.2, description="pause between two looks at a bucket")
    directory_poll_s: Seconds = Field(0.5, description="pause between two looks for new events")
    ready_s: Seconds = Field(
        900.0, description="longest wait for archives to be read back at start"
    )
    embedded_start_s: Seconds = Field(10.0, description="longest wait for the embedded Valkey")

    # --- Tests of pages (core/trace.py) -----------------------------------------------------------
    tests_max: Annotated[int, Field(ge=1, le=100)] = Field(
        8, description="tests of pages at once; another one ends the oldest"
    )
    test_life_s: Seconds = Field(900.0, description="time after which a test of a page ends")
    test_connections_max: Annotated[int, Field(ge=1, le=100)] = Field(
        8, description="connections of a test that are kept, the latest"
    )
    test_heartbeats_max: Annotated[int, Field(ge=1, le=HEARTBEATS_MAX)] = Field(
        12, description="heartbeats of each that are kept, the latest"
    )

    # --- Viewers' connections ---------------------------------------------------------------------
    connections_max: Count = Field(100_000, description="open connections of one worker")
    head_bytes_max: Bytes = Field(8_192, description="request line and headers")
    handshake_s: Seconds = Field(10.0, description="from connecting to the hello")
    tls_handshake_s: Seconds = Field(
        5.0, description="TLS handshake; connections that are in one come on top of connections_max"
    )
    idle_intervals: Annotated[int, Field(ge=2, le=100)] = Field(
        3, description="heartbeat intervals of silence after which a connection is closed"
    )
    messages_per_interval: Annotated[int, Field(ge=2, le=1000)] = Field(
        4, description="messages a viewer may send in one heartbeat interval, for long"
    )
    messages_burst: Annotated[int, Field(ge=2, le=1000)] = Field(
        8, description="messages a viewer may send at once"
    )
    beacon_wait_s: Seconds = Field(
        10.0, description="longest wait of a beacon for what its heartbeats became"
    )
    beacons_waiting_max: Count = Field(
        5_000, description="beacons of one worker that wait at once; others are told heard"
    )
    beacon_age_s: Annotated[float, Field(ge=1, le=60)] = Field(
        5.0, description="age of a presence in a beacon above which it does not count"
    )
    beacon_viewers_max: Count = Field(
        50_000, description="viewers whose pace and progress a worker knows from beacons"
    )
    cosignatures_per_s_max: Count = Field(
        200,
        description="posted cosignatures that one worker checks in a second; more are sent away",
    )
    unsent_bytes_max: Bytes = Field(16_384, description="unread answers after which it is dropped")
    listen_backlog: Count = Field(4_096, description="connections the kernel keeps for a worker")
    stall_s: Seconds = Field(1.0, description="pause of a worker after which what it reads is late")
    drain_s: Seconds = Field(20.0, description="from SIGTERM to the end, at the latest")
    reconnect_spread_s: Seconds = Field(5.0, description="over which reconnecting is spread")
    http_keepalive_s: Seconds = Field(5.0, description="idle time of a connection of the operator")
    request_bytes_max: Bytes = Field(256 * 1024, description="body of an API request")
    frames_bytes_max: Bytes = Field(
        8 * 2**20,
        description="entries with bodies in one answer to a follower, unless one is longer",
    )

    # --- Supervision ------------------------------------------------------------------------------
    restart_first_s: Seconds = Field(0.2, description="pause before the first restart of a process")
    restart_most_s: Seconds = Field(5.0, description="longest pause before a restart")
    standby_poll_s: Seconds = Field(0.5, description="pause between a standby's looks for its turn")
    takeover_s: Seconds = Field(
        30.0, description="longest wait for what a service that ended still holds: ports, archives"
    )
    restarts_max: Count = Field(20, description="restarts in a minute after which serve gives up")

    def recent_ticks(self, window: int) -> int:
        """Return how many archived ticks the store keeps: a window, and what may be flushed again."""
        return max(window, int(self.hold_s) + 1)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if (self.tls_cert is None) != (self.tls_key is None):
            msg = "tls_cert and tls_key go together: set both or neither"
            raise ValueError(msg)
        if self.held_ticks_max < self.hold_s + self.seal_lag_s + 5:
            msg = "held_ticks_max: must exceed hold_s + seal_lag_s by 5 at least"
            raise ValueError(msg)
        return self


class PlatformSettings(BaseSettings):
    """How platforms are asked for their own counts, and what that may cost."""

    model_config = SettingsConfigDict(
        env_prefix="STREAMCOUNT_PLATFORM_", extra="forbid", frozen=True
    )

    poll_s: Seconds = Field(10.0, description="from one round of questions to the next, at least")
    lead_s: Seconds = Field(60.0, description="asking begins so long before the first tick")
    deadline_s: Annotated[float, Field(gt=0, le=12)] = Field(
        5.0, description="longest wait for an answer; below the 15 s that a round may take"
    )
    look_s: Seconds = Field(0.5, description="pause between two looks whether a round is due")
    backoff_most_s: Seconds = Field(60.0, description="longest pause after questions that failed")
    rate_pause_s: Seconds = Field(30.0, description="pause after asking too fast, at least")
    quota_pause_s: Seconds = Field(900.0, description="pause after the day's quota is used up")
    pause_most_s: Seconds = Field(3_600.0, description="longest pause a platform may ask for")
    received_bytes_max: Bytes = Field(256 * 1024, description="answer that is read")
    connections_max: Count = Field(16, description="connections to one platform")
    keepalive_s: Seconds = Field(30.0, description="idle time of a connection to one")
    lookups_max: Count = Field(2, description="names that are looked up at once for one")
    rounds_max: Count = Field(50_000, description="rounds logged of one event")


class YouTubeSettings(BaseSettings):
    """The YouTube Data API. The key comes from a file or the environment, and goes nowhere else."""

    model_config = SettingsConfigDict(
        env_prefix="STREAMCOUNT_YOUTUBE_", extra="forbid", frozen=True
    )

    key: SecretStr | None = Field(None, description="the API key; better in a file")
    key_file: Path | None = Field(None, description="a file that holds it; wins over key")
    url: str = Field("https://www.googleapis.com", description="where the API is; or a proxy")
    units_per_day_max: Count = Field(
        9_000,
        description="quota units used in any 24 hours; a project has 10,000, a request costs 1",
    )

    @field_validator("url")
    @classmethod
    def _private(cls, url: str) -> str:
        if not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?(/|$)", url):
            msg = "must begin with https://, or be on this machine: the key is in every request"
            raise ValueError(msg)
        return url


class WitnessSettings(BaseSettings):
    """How witnesses and timestamping authorities are asked, and what that may cost."""

    model_config = SettingsConfigDict(
        env_prefix="STREAMCOUNT_WITNESS_", extra="forbid", frozen=True
    )

    look_s: Seconds = Field(0.5, description="pause between two looks at what there is to do")
    idle_look_s: Seconds = Field(5.0, description="the same of an event that names nobody to ask")
    peak_pause_s: Seconds = Field(
        60.0, description="from one checkpoint that is asked about to one for a new peak, at least"
    )
    deadline_s: Seconds = Field(10.0, description="longest wait for an answer")
    retry_first_s: Seconds = Field(1.0, description="pause before asking again, doubled each time")
    retry_most_s: Seconds = Field(60.0, description="longest such pause")
    give_up_s: Seconds = Field(
        3_600.0,
        description="how long a final checkpoint is asked about, from the claim or the start",
    )
    answer_bytes_max: Bytes = Field(65_536, description="longest answer that is read")
    asked_at_once_max: Count = Field(16, description="questions under way at once, of all events")
    threads_max: Count = Field(2, description="threads that read and write for it, of all events")
    lookups_max: Count = Field(4, description="names of hosts looked up at once")
    kept_max: Count = Field(
        5_000, description="checkpoints kept of one event; beyond it only that of the claim"
    )


class PackLimits(BaseSettings):
    """Bounds on what verifying a pack from a stranger may cost."""

    model_config = SettingsConfigDict(env_prefix="STREAMCOUNT_PACK_", extra="forbid", frozen=True)

    bytes_max: Bytes = Field(64 * 2**30, description="size of a pack")
    files_max: Count = Field(2_000_000, description="files in a pack")
    body_bytes_max: Bytes = Field(2**29, description="one tick's body, inflated")
    viewers_max: Count = Field(20_000_000, description="viewers of one event")
    ticks_max: Count = Field(32 * 86_400, description="ticks of one event")
    entries_max: Count = Field(20_000_000, description="entries of a log")
    excluded_max: Count = Field(1_000_000, description="viewers excluded in a log")
    window_present_max: Count = Field(
        40_000_000, description="viewers present, added up over one window's ticks: 16 bytes each"
    )


class ParquetLimits(BaseSettings):
    """Bounds on what writing an event as Parquet may cost."""

    model_config = SettingsConfigDict(
        env_prefix="STREAMCOUNT_PARQUET_", extra="forbid", frozen=True
    )

    row_group_rows_max: Count = Field(2**20, description="rows of a row group, and held in memory")


class FollowLimits(BaseSettings):
    """Bounds on what following a log of a stranger may cost, and when something is told."""

    model_config = SettingsConfigDict(env_prefix="STREAMCOUNT_FOLLOW_", extra="forbid", frozen=True)

    poll_s: Seconds = Field(1.0, description="pause between two looks at the checkpoint")
    deadline_s: Seconds = Field(15.0, description="longest silence before and within an answer")
    answer_s: Seconds = Field(300.0, description="longest wait for a whole answer")
    retry_first_s: Seconds = Field(0.5, description="pause before a request is tried again")
    retry_most_s: Seconds = Field(15.0, description="longest such pause")
    stall_s: Seconds = Field(60.0, description="silence of an open event after which it is told")
    uncertain_after_s: Seconds = Field(10.0, description="age of the latest tick that is doubtful")
    cosign_s: Seconds = Field(
        60.0, description="time without a cosignature after which the latest checkpoint gets one"
    )
    cosign_give_up_s: Seconds = Field(
        600.0, description="how long a follower that cosigns tries to, after the claim"
    )
    answer_bytes_max: Bytes = Field(2**28, description="answer of the operators' API")
    entries_max: Count = Field(20_000_000, description="entries of a log")
    probes_max: Count = Field(200, description="probes at once")
    probe_answer_s: Seconds = Field(30.0, description="longest wait for probes' acks in the log")
