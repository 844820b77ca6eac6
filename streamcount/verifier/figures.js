// figures.js: peaks, averages and the rest of what the counts come to (section 11).
"use strict";

// How many ticks from `first` to `last` lie in at least one of these gaps. A gap may be 2^53 long: intervals only.
function ticksIn(gaps, first, last) {
  return intervalsIn(gaps, first, last).reduce((sum, [from, to]) => sum + to - from + 1, 0);
}

// The gaps as ascending intervals that do not touch, cut to first .. last.
function intervalsIn(gaps, first, last) {
  const cut = gaps
    .map((gap) => [Math.max(gap.first, first), Math.min(gap.last, last)])
    .filter(([from, to]) => from <= to)
    .sort((a, b) => a[0] - b[0]);
  const out = [];
  for (const [from, to] of cut) {
    const before = out[out.length - 1];
    if (before && from <= before[1] + 1) before[1] = Math.max(before[1], to);
    else out.push([from, to]);
  }
  return out;
}

// {peak, first, last} of a curve, ticks from 0; those with `left` set are no peak and end a run.
function peakOf(curve, left) {
  let peak = 0;
  let first = null;
  for (let k = 0; k < curve.length; k++) {
    if (!left[k] && curve[k] > peak) {
      peak = curve[k];
      first = k;
    }
  }
  if (first === null) return { peak: 0, first: null, last: null };
  let last = first;
  while (last + 1 < curve.length && !left[last + 1] && curve[last + 1] === peak) last++;
  return { peak, first, last };
}

function highest(curve) {
  let peak = 0;
  let first = null;
  for (let k = 0; k < curve.length; k++) {
    if (curve[k] > peak) {
      peak = curve[k];
      first = k;
    }
  }
  return { peak, first };
}

// Of each final tick whether it lies in a clock gap.
function clockTicks(log, count) {
  const left = new Uint8Array(count);
  if (count === 0) return left;
  const gaps = log.gaps.filter((gap) => gap.kind === "clock");
  for (const [from, to] of intervalsIn(gaps, log.first, log.first + count - 1)) {
    left.fill(1, from - log.first, to - log.first + 1);
  }
  return left;
}

// The curves of the viewers of these stages: {proven, live}.
function curvesOf(counting, stages) {
  const proven = new Int32Array(counting.proven.length);
  const live = new Int32Array(counting.lives.length);
  for (const stage of stages) {
    const group = counting.groups[stage];
    if (group === undefined) continue;
    for (let k = 0, sum = 0; k < proven.length; k++) proven[k] += sum += group.delta[k];
    for (let k = 0; k < live.length; k++) live[k] += group.lives[k];
  }
  return { proven, live };
}

// Which viewers are counted in figures: `without` and all stages below it are left out; 0 leaves out nobody.
function stagesWithout(counting, without) {
  const all = counting.groups.map((_, stage) => stage);
  return all.filter((stage) => stage === 0 || stage > without);
}

// The figures but for `qualified`, and in `at` the place of the peak.
function figuresOf(log, counting, without, last) {
  const stages = stagesWithout(counting, without);
  const { proven, live } = curvesOf(counting, stages);
  const found = peakOf(proven, clockTicks(log, proven.length));
  const lively = highest(live);
  let watched = 0;
  for (let k = 0; k < proven.length; k++) watched += proven[k];
  const ticks = BigInt(last - log.first + 1);
  let uniques = counting.viewers.count;
  counting.registered.forEach((count, which) => {
    if (counting.stages[which] <= without) uniques -= count;
  });
  const tick = (k) => (k === null ? null : log.first + k);
  return {
    at: found.first,
    without,
    curves: { proven, live },
    figures: {
      peak: found.peak,
      peak_first: tick(found.first),
      peak_last: tick(found.last),
      qualified: found.peak,
      live_peak: lively.peak,
      live_peak_first: tick(lively.first),
      uniques,
      watch_s: watched,
      average_milli: proven.length === 0 ? 0 : Number((1000n * BigInt(watched)) / ticks),
    },
  };
}

// How many of those proven at the peak were proven long enough. Only the ticks around the peak are read again;
// `bodyOf(i)` gives {entry, body} of a tick.
async function qualifiedOf(log, counting, found, bodyOf) {
  const presence = log.definition.rule_profile.presence_s;
  if (found.at === null || presence <= 1) return found.figures.peak;
  const { window, viewers } = counting;
  const before = new Int32Array(viewers.count).fill(NEVER);
  const done = new Uint8Array(viewers.count);
  let qualified = 0;
  for (let i = Math.max(0, found.at - window + 1); i <= Math.min(found.at + window, log.ticks - 1); i++) {
    const { entry, body } = await bodyOf(i);
    const { presence: bits, breaks } = counting.parts(entry, body, null);
    for (let v = 0; v < entry.viewers; v++) {
      const bit = 0x80 >> (v & 7);
      const broke = breaks === null ? 0 : breaks[v >> 3];
      if (bit === 0x80 && (bits[v >> 3] | broke) === 0) v += 7; // eight of whom there is nothing
      if (broke & bit) before[v] = NEVER;
      if (!(bits[v >> 3] & bit) || done[v]) continue;
      if (i <= found.at) {
        before[v] = i;
        continue;
      }
      done[v] = 1;
      const stage = viewers.stage[v];
      if (stage > 0 && stage <= found.without) continue;
      if (before[v] !== NEVER && i - before[v] <= window && viewers.provenTicks[v] >= presence) qualified++;
    }
  }
  return qualified;
}
