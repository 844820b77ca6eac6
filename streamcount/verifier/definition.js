// definition.js: the first entry, and in it the definition of the event: what was agreed (section 7).
"use strict";

const EVENT_ID = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const SHORT_NAME = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const STREAM_ID = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;
const ORIGIN = /^([a-z][a-z0-9+.-]*):\/\/(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?$/;

function isOrigin(value) {
  if (value === "none") return true;
  if (value.length > 300) return false;
  const found = ORIGIN.exec(value);
  if (!found) return false;
  return !(found[1] === "http" && found[2] === "80") && !(found[1] === "https" && found[2] === "443");
}

const TITLE = objectOf({ ar: textOfAtMost(200), en: textOfAtMost(200) });

const STREAM = objectOf({
  id: spelled(STREAM_ID),
  title: TITLE,
  source: textOfAtMost(500),
  platform: orNull(objectOf({ name: spelled(SHORT_NAME), video: spelled(/^[A-Za-z0-9._-]{1,128}$/) })),
});

const POLICY = objectOf({
  hidden_counts: BOOL,
  muted_counts: BOOL,
  origins: where(listOf(when((value) => typeof value === "string" && isOrigin(value)), 0, 50), (origins) =>
    allDifferent(origins) ? "" : "twice",
  ),
  progress: BOOL,
});

const RULE_PROFILE = objectOf({
  id: spelled(EVENT_ID),
  duration_s: integerFrom(0, 1_000_000),
  presence_s: integerFrom(0, 1_000_000),
  single_stream: BOOL,
  count: oneOf("net", "gross"),
});

function witnessKey(text) {
  const key = parseKey(text, 4);
  return key !== null && codePoints(key.name) <= 100 ? key : null;
}

const WITNESS = objectOf({
  key: when((value) => typeof value === "string" && witnessKey(value) !== null),
  url: textOfAtMost(200),
});
const AUTHORITY = objectOf({ name: spelled(SHORT_NAME), root_sha256: HASH, url: textOfAtMost(200) });

const TRUST = where(
  objectOf({ witnesses: listOf(WITNESS, 0, 8), quorum: integerFrom(0, 8), authorities: listOf(AUTHORITY, 0, 4) }),
  (trust) => {
    const witnesses = trust.witnesses.map((one) => witnessKey(one.key));
    if (!allDifferent(witnesses.map((one) => one.name))) return "witnesses: name twice";
    if (!allDifferent(witnesses.map((one) => hex(one.key)))) return "witnesses: key twice";
    if (!allDifferent(trust.authorities.map((one) => one.name))) return "authorities";
    const count = trust.witnesses.length;
    return (trust.quorum === 0) === (count === 0) && trust.quorum <= count ? "" : "quorum";
  },
);

const DEFINITION = where(
  objectOf({
    id: spelled(EVENT_ID),
    kind: oneOf("attempt", "rehearsal", "demo"),
    title: where(TITLE, (title) => (title.ar === "" && title.en === "" ? "empty" : "")),
    organiser: TITLE,
    timezone: spelled(/^[A-Za-z0-9+_/-]{1,64}$/),
    planned_start: orNull(integerFrom(0, INSTANT_MOST)),
    planned_end: orNull(integerFrom(0, INSTANT_MOST)),
    streams: listOf(STREAM, 1, 500),
    window: integerFrom(1, 600),
    interval: integerFrom(1),
    policy: POLICY,
    rule_profile: RULE_PROFILE,
    target: orNull(integerFrom(1, 1e9)),
    claimed_count: oneOf("proven", "platform"),
    trust: TRUST,
  }),
  (definition) => {
    const { planned_start: start, planned_end: end, streams } = definition;
    if (start !== null && end !== null && end <= start) return "planned_end";
    if (!allDifferent(streams.map((one) => one.id))) return "streams: id twice";
    const asked = streams.filter((one) => one.platform !== null);
    if (!allDifferent(asked.map(({ platform }) => `${platform.name} ${platform.video}`))) return "streams: video twice";
    if (definition.window < 2 * definition.interval + 5) return "window";
    if (definition.claimed_count === "platform" && asked.length === 0) return "claimed_count";
    return "";
  },
);

const EVENT = objectOf({
  type: oneOf("event"),
  format: oneOf("streamcount.evidence/v1"),
  origin: TEXT,
  key: TEXT,
  software: TEXT,
  sheet_sha256: HASH,
  pseudonym_key_sha256: HASH,
  event: DEFINITION,
});
