// answers.js: a platform's own count: its answers read again, and what they come to (sections 7 and 11).
"use strict";

const ROUND_SPREAD_MS = 15_000;

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function own(value, key) {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

// What an answer of youtube says of these videos: for each a count or null.
function youtubeCounts(answer, videos) {
  const none = videos.map(() => null);
  const text = textOf(answer);
  if (text === null) return none;
  let opened = 0;
  for (let i = 0; i < text.length; i++) if (text[i] === "{" || text[i] === "[") opened++;
  if (opened > 500) return none;
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return none;
  }
  const items = isObject(value) ? own(value, "items") : undefined;
  if (!Array.isArray(items)) return none;
  return videos.map((video) => {
    const found = items.filter((item) => isObject(item) && own(item, "id") === video);
    const details = found.length === 1 ? own(found[0], "liveStreamingDetails") : undefined;
    const viewers = isObject(details) ? own(details, "concurrentViewers") : undefined;
    return typeof viewers === "string" && /^(?:0|[1-9][0-9]{0,9})$/.test(viewers) ? Number(viewers) : null;
  });
}

// What must be of one `platform` entry by itself. Names its key.
function checkAnswer(entry, definition) {
  const { failure, status, answer_bytes: length } = entry;
  const answer = unbase64(entry.answer);
  for (const stream of entry.streams) {
    if (definition.streams[stream]?.platform?.name !== entry.platform) return "streams";
  }
  const silent = failure === "timeout" || failure === "unreachable";
  if ((status === null) !== silent) return "status";
  if (silent && length !== 0) return "answer_bytes";
  const cut = failure === "too_long" || failure === "withheld";
  if (cut ? answer.length >= length : answer.length !== length) return "answer";
  if (failure === "withheld" && answer.length !== 0) return "answer";
  if (!cut && base64(sha256(answer)) !== entry.answer_sha256) return "answer_sha256";
  if (status !== 200 || failure !== "none") return entry.counts.every((one) => one === null) ? "" : "counts";
  if (entry.platform !== "youtube") return "";
  const videos = entry.streams.map((stream) => definition.streams[stream].platform.video);
  return canonical(youtubeCounts(answer, videos)) === canonical(entry.counts) ? "" : "counts";
}

// Rounds as the entries come; their order among each other is checked here.
class Rounds {
  constructor(definition) {
    this.definition = definition;
    this.asked = definition.streams.filter((one) => one.platform !== null).length;
    this.rounds = [];
    this.answered = new Float64Array(definition.streams.length);
    this.lastRound = new Float64Array(definition.streams.length);
    this.unread = new Set();
  }

  // Returns what is wrong, or "".
  add(entry) {
    const wrong = checkAnswer(entry, this.definition);
    if (wrong !== "") return wrong;
    const latest = this.rounds.length === 0 ? null : this.rounds[this.rounds.length - 1];
    if (latest === null ? entry.round <= 0 : entry.round < latest.round) return "round";
    for (const stream of entry.streams) {
      if (this.lastRound[stream] === entry.round) return "round: stream twice";
      if (entry.asked_ms < this.answered[stream]) return "asked_ms";
    }
    for (const stream of entry.streams) {
      this.lastRound[stream] = entry.round;
      this.answered[stream] = Math.max(this.answered[stream], entry.answered_ms);
    }
    if (entry.platform !== "youtube") this.unread.add(entry.platform);
    let round = latest;
    if (latest === null || latest.round !== entry.round) {
      round = { round: entry.round, least: Infinity, most: 0, sum: 0, counts: 0, samples: 0, failed: 0, absent: 0 };
      this.rounds.push(round);
    }
    const failed = entry.status !== 200 || entry.failure !== "none";
    const counts = entry.counts.filter((one) => one !== null);
    round.least = Math.min(round.least, entry.asked_ms);
    round.most = Math.max(round.most, entry.answered_ms);
    round.sum += counts.reduce((sum, one) => sum + one, 0);
    round.counts += counts.length;
    round.samples += entry.streams.length;
    if (failed) round.failed += entry.streams.length;
    else round.absent += entry.streams.length - counts.length;
    return "";
  }

  // The object of section 11; `first` and `last` are null while nothing was counted: then no round counts.
  figures(first, last) {
    if (this.asked === 0) return null;
    const rounds = this.rounds.filter(
      (one) => first !== null && one.least >= 1000 * first && one.most < 1000 * (last + 1),
    );
    const numbers = rounds.map((one) =>
      one.counts === 0 || one.most - one.least > ROUND_SPREAD_MS ? null : one.sum,
    );
    const there = numbers.filter((one) => one !== null);
    const sum = (key) => rounds.reduce((total, one) => total + one[key], 0);
    let at = -1;
    numbers.forEach((one, i) => {
      if (one !== null && (at < 0 || one > numbers[at])) at = i;
    });
    let second = null;
    numbers.forEach((one, i) => {
      if (i !== at && one !== null && (second === null || one > second)) second = one;
    });
    const sorted = there.slice().sort((a, b) => a - b);
    return {
      peak: at < 0 ? null : numbers[at],
      peak_ms: at < 0 ? null : rounds[at].least,
      peak_missing: at < 0 ? null : this.asked - rounds[at].counts,
      before: at < 0 ? null : (numbers[at - 1] ?? null),
      after: at < 0 ? null : (numbers[at + 1] ?? null),
      second,
      median: sorted.length === 0 ? null : sorted[Math.floor((sorted.length - 1) / 2)],
      rounds: rounds.length,
      numbers: there.length,
      samples: sum("samples"),
      failed: sum("failed"),
      absent: sum("absent"),
    };
  }
}
