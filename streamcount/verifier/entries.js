// entries.js: the shapes of all entries but the first (section 7).
"use strict";

const FIGURES = objectOf({
  peak: NATURAL,
  peak_first: orNull(NATURAL),
  peak_last: orNull(NATURAL),
  qualified: NATURAL,
  live_peak: NATURAL,
  live_peak_first: orNull(NATURAL),
  uniques: NATURAL,
  watch_s: NATURAL,
  average_milli: NATURAL,
});

const CLAIM = objectOf({
  type: oneOf("claim"),
  version: integerFrom(1, 16),
  supersedes: orNull(NATURAL),
  reason: textOfAtMost(500),
  size: NATURAL,
  root: HASH,
  origin: TEXT,
  definition: when((value) => value !== null && typeof value === "object" && !Array.isArray(value)),
  words: objectOf({ ar: textOfAtMost(700), en: textOfAtMost(700) }),
  software: objectOf({ version: textOfAtMost(100), sha256: HASH }),
  value: orNull(NATURAL),
  instant: orNull(objectOf({ utc: TEXT, local: TEXT, until_utc: TEXT, until_local: TEXT })),
  gross: FIGURES,
  net: FIGURES,
  streams: listOf(NATURAL, 0, 64),
  exclusions: listOf(objectOf({ reason: TEXT, viewers: NATURAL }), 0, 16),
  first: NATURAL,
  last: NATURAL,
  loss_ticks: NATURAL,
  clock_ticks: NATURAL,
  lag_ticks: NATURAL,
  profile: objectOf({ duration_s: NATURAL, duration_ok: BOOL, streams: NATURAL, streams_ok: BOOL, pass: BOOL }),
  platform: orNull(
    objectOf({
      peak: orNull(NATURAL),
      peak_ms: orNull(NATURAL),
      peak_missing: orNull(NATURAL),
      before: orNull(NATURAL),
      after: orNull(NATURAL),
      second: orNull(NATURAL),
      median: orNull(NATURAL),
      rounds: NATURAL,
      numbers: NATURAL,
      samples: NATURAL,
      failed: NATURAL,
      absent: NATURAL,
    }),
  ),
});

const PLATFORM = where(
  objectOf({
    type: oneOf("platform"),
    platform: spelled(SHORT_NAME),
    round: NATURAL,
    streams: where(listOf(integerFrom(0, 499), 1, 500), (streams) =>
      streams.every((one, i) => i === 0 || one > streams[i - 1]) ? "" : "order",
    ),
    asked_ms: integerFrom(0, 2 ** 50),
    answered_ms: integerFrom(0, 2 ** 50),
    status: orNull(integerFrom(100, 999)),
    failure: oneOf("none", "timeout", "unreachable", "too_long", "withheld"),
    answer: when((value) => typeof value === "string" && (unbase64(value)?.length ?? Infinity) <= 40_000),
    answer_bytes: NATURAL,
    answer_sha256: HASH,
    counts: listOf(orNull(integerFrom(0, 9_999_999_999)), 1, 500),
  }),
  (entry) => {
    if (entry.asked_ms > entry.answered_ms) return "answered_ms";
    return entry.counts.length === entry.streams.length ? "" : "counts";
  },
);

const SHAPES = {
  __proto__: null,
  event: EVENT,
  epoch: where(
    objectOf({
      type: oneOf("epoch"),
      epoch: NATURAL,
      first: integerFrom(0, INSTANT_MOST),
      offsets_us: listOf(INTEGER, 1, 64),
      reason: TEXT,
      run_ids: listOf(TEXT, 1, 64),
    }),
    (entry) => (entry.run_ids.length === entry.offsets_us.length ? "" : "run_ids"),
  ),
  tick: objectOf({
    type: oneOf("tick"),
    tick: NATURAL,
    epoch: NATURAL,
    viewers: integerFrom(0, 2 ** 32 - 1),
    new: NATURAL,
    moves: NATURAL,
    present: NATURAL,
    breaks: NATURAL,
    live: NATURAL,
    proven: NATURAL,
    heartbeats: NATURAL,
    muted: NATURAL,
    hidden: NATURAL,
    late: NATURAL,
    body_bytes: NATURAL,
    streams: listOf(NATURAL, 0, 64),
    body_root: HASH,
  }),
  gap: where(
    objectOf({
      type: oneOf("gap"),
      kind: oneOf("clock", "loss", "lag"),
      reason: TEXT,
      first: NATURAL,
      last: NATURAL,
    }),
    (entry) => (entry.first <= entry.last ? "" : "last"),
  ),
  exclude: where(
    objectOf({
      type: oneOf("exclude"),
      pseudonyms: listOf(spelled(/^[0-9a-f]{32}$/), 1, 1000),
      reason: textOfAtMost(80),
    }),
    (entry) => (allDifferent(entry.pseudonyms) ? "" : "pseudonyms"),
  ),
  note: objectOf({ type: oneOf("note"), text: textOfAtMost(1000, 1) }),
  platform: PLATFORM,
  end: objectOf({ type: oneOf("end"), close: integerFrom(0, INSTANT_MOST) }),
  claim: CLAIM,
};

// The entry that these bytes are, or a refusal that names it.
function readEntry(bytes, index) {
  let entry;
  try {
    entry = readCanonical(bytes);
  } catch (error) {
    if (!(error instanceof NotCanonical)) throw error;
    deny("canonical", `entry ${index}: ${error.message}`);
  }
  const shape = isObject(entry) && typeof entry.type === "string" ? SHAPES[entry.type] : undefined;
  if (shape === undefined) deny("entry_type", `entry ${index}`);
  try {
    shape(entry, `entry ${index}`);
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    deny("entry", error.message);
  }
  return entry;
}
