// claim.js: what a claim must be, from the entries before it (section 11), and where it is not.
"use strict";

const LOCAL = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)([+-])(\d\d):(\d\d)$/;
const YEARS = [0, Date.UTC(10000, 0, 1) / 1000]; // 1970 to 9999
const OFFSET_MOST_S = 18 * 3600;

function utcOf(second) {
  return second >= YEARS[0] && second < YEARS[1] ? new Date(second * 1000).toISOString().slice(0, 19) + "Z" : null;
}

// The offset in seconds of an instant's local spelling, or null when it is not that instant's.
function offsetOf(text, second) {
  const found = LOCAL.exec(text);
  if (!found) return null;
  const [year, month, day, hour, minute, rest, , hours, minutes] = found.slice(1).map(Number);
  const size = hours * 3600 + minutes * 60;
  if (minutes > 59 || size > OFFSET_MOST_S || (found[7] === "-" && size === 0)) return null;
  const offset = found[7] === "-" ? -size : size;
  const local = Date.UTC(year, month - 1, day, hour, minute, rest) / 1000;
  if (year < 1970 || utcOf(local)?.slice(0, 19) !== text.slice(0, 19)) return null;
  return local - offset === second ? offset : null;
}

// The first key of an `instant` that is wrong, or "".
function wrongInInstant(instant, figures) {
  if (figures.peak_first === null) return instant === null ? "" : "instant";
  const [begun, until] = [figures.peak_first + 1, figures.peak_last + 1];
  if (instant === null) {
    // Some zone must bring one of them out of the years.
    const out = begun - OFFSET_MOST_S < YEARS[0] || until + OFFSET_MOST_S >= YEARS[1];
    return out ? "" : "instant";
  }
  if (instant.utc !== utcOf(begun)) return "instant.utc";
  if (instant.until_utc !== utcOf(until)) return "instant.until_utc";
  if (offsetOf(instant.local, begun) === null) return "instant.local";
  return offsetOf(instant.until_local, until) === null ? "instant.until_local" : "";
}

function exclusionsBefore(log, counting, index) {
  const found = new Map();
  log.excludes.forEach((one, which) => {
    if (one.index >= index) return;
    found.set(one.reason, (found.get(one.reason) ?? 0) + counting.registered[which]);
  });
  return Array.from(found, ([reason, viewers]) => ({ reason, viewers }));
}

function profileOf(definition, first, last) {
  const rules = definition.rule_profile;
  const profile = {
    duration_s: last - first + 1,
    duration_ok: last - first + 1 >= rules.duration_s,
    streams: definition.streams.length,
    streams_ok: !(rules.single_stream && definition.streams.length > 1),
  };
  return { ...profile, pass: profile.duration_ok && profile.streams_ok };
}

// Everything of section 11 that follows, for a claim that would be entry `index`; exclusions of all stages up to
// `stage` are before it. `tools`: bodyOf(i), streamsAt(tick index).
async function resultAt(log, counting, stage, index, tools) {
  const { definition, first } = log;
  const last = log.close ?? log.latest ?? first;
  const gross = figuresOf(log, counting, 0, last);
  const same = stage === 0 || counting.groups.length === 1;
  const net = same ? { ...gross, figures: { ...gross.figures } } : figuresOf(log, counting, stage, last);
  gross.figures.qualified = await qualifiedOf(log, counting, gross, tools.bodyOf);
  net.figures.qualified =
    net.without === 0 ? gross.figures.qualified : await qualifiedOf(log, counting, net, tools.bodyOf);
  const named = definition.rule_profile.count === "gross" ? gross : net;
  const platform = log.rounds.figures(log.ticks === 0 ? null : first, last);
  const ticks = (kind) => ticksIn(log.gaps.filter((gap) => gap.kind === kind), first, last);
  return {
    named,
    gross: gross.figures,
    net: net.figures,
    curves: named.curves,
    value: definition.claimed_count === "platform" ? platform.peak : named.figures.qualified,
    streams: named.at === null ? [] : await tools.streamsAt(named.at),
    exclusions: exclusionsBefore(log, counting, index),
    first,
    last,
    loss_ticks: ticks("loss"),
    clock_ticks: ticks("clock"),
    lag_ticks: ticks("lag"),
    profile: profileOf(definition, first, last),
    platform,
  };
}

// Refuses a claim that is not the one; `number` counts claims from 0, `root` is that over the entries before it.
function checkClaim(log, number, result, root) {
  const { index, entry } = log.claims[number];
  const { named, curves, ...rest } = result;
  const definition = { ...log.definition };
  delete definition.streams;
  const expected = {
    version: number + 1,
    supersedes: number === 0 ? null : log.claims[number - 1].index,
    size: index,
    root: base64(root),
    origin: log.event.origin,
    definition,
    ...rest,
  };
  const say = (key) => deny("claim", `entry ${index}: ${key}`);
  if ((entry.reason === "") !== (number === 0)) say("reason");
  for (const key of Object.keys(expected)) {
    const [said, found] = [canonical(entry[key]), canonical(expected[key])];
    if (said === found) continue;
    const inner = isObject(expected[key]) && isObject(entry[key]) ? Object.keys(expected[key]) : [];
    const which = inner.find((one) => canonical(entry[key][one] ?? null) !== canonical(expected[key][one]));
    if (which !== undefined) say(`${key}.${which}: ${canonical(entry[key][which] ?? null)} ≠ ${canonical(expected[key][which])}`);
    say(said.length + found.length < 200 ? `${key}: ${said} ≠ ${found}` : key);
  }
  const wrong = wrongInInstant(entry.instant, named.figures);
  if (wrong !== "") say(wrong);
}
