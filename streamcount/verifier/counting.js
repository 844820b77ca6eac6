// counting.js: bodies into counts, tick by tick (sections 8 and 9).
"use strict";

const BODY_MOST = 512 << 20; // what this program takes into memory at once
const ONES = Uint8Array.from({ length: 256 }, (_, i) => i.toString(2).split("1").length - 1);

// Live viewers of one group: how many were last present in which of the latest W ticks.
class Group {
  constructor(window, ticks) {
    this.window = window;
    this.ring = new Int32Array(window);
    this.live = 0;
    // delta[k]: proven in k and not in k - 1, less those the other way round.
    this.delta = new Int32Array(ticks + 1);
    this.lives = new Int32Array(ticks);
  }

  begin(i) {
    const slot = i % this.window;
    this.live -= this.ring[slot];
    this.ring[slot] = 0;
  }

  present(i, before) {
    if (before > i - this.window && before !== NEVER) this.ring[before % this.window]--;
    else this.live++;
    this.ring[i % this.window]++;
  }

  proven(from, to) {
    this.delta[from]++;
    this.delta[to]--;
  }
}

// `stages`: of each exclude entry, before which claim it stands (from 1).
class Counting {
  constructor(log, stages) {
    this.log = log;
    this.stages = stages;
    this.window = log.definition.window;
    this.streams = log.definition.streams.length;
    this.viewers = new Viewers();
    const most = stages.reduce((found, one) => Math.max(found, one), 0);
    // groups[s]: viewers of that stage, whatever was excluded; 0 are those who never were.
    this.groups = Array.from({ length: most + 1 }, () => new Group(this.window, log.ticks));
    // The excluded ones, until they were: with groups[0] that is what the tick entries count.
    this.until = new Group(this.window, log.ticks);
    this.registered = new Array(log.excludes.length).fill(0);
    this.told = this.streams <= 64;
    this.streamRing = this.told ? new Int32Array(this.window * this.streams) : null;
    this.streamLive = new Array(this.told ? this.streams : 0).fill(0);
    this.finals = log.ticks - this.window; // ticks 0 .. finals - 1 are final in the end
    this.ticks = 0;
    this.provenSum = 0;
    this.lives = new Int32Array(log.ticks);
    this.proven = new Int32Array(Math.max(this.finals, 0));
  }

  // The parts of a body that this entry wants; refuses by the name of the entry.
  parts(entry, body, say) {
    const bitmap = Math.ceil(entry.viewers / 8);
    const moves = 18 * entry.new;
    const presence = moves + 6 * entry.moves;
    const breaks = presence + bitmap;
    return {
      moves: body.subarray(moves, presence),
      presence: body.subarray(presence, breaks),
      breaks: entry.breaks === 0 ? null : body.subarray(breaks, breaks + bitmap),
      say,
    };
  }

  register(entry, body, index, say) {
    for (let at = 0; at < 18 * entry.new; at += 18) {
      const stream = (body[at + 16] << 8) | body[at + 17];
      if (stream >= this.streams) say("registrations: stream");
      const v = this.viewers.register(body, at, stream);
      if (v < 0) say("registrations: pseudonym twice");
      if (this.log.excluded.size === 0) continue;
      const which = this.log.excluded.get(hex(body, at, at + 16));
      if (which === undefined) continue;
      this.viewers.stage[v] = this.stages[which];
      this.viewers.excludedBy[v] = this.log.excludes[which].index;
      this.registered[which]++;
    }
  }

  move(parts, i, say) {
    const { viewers, window, streams } = this;
    const { moves, presence } = parts;
    let before = -1;
    for (let at = 0; at < moves.length; at += 6) {
      const v = moves[at] * 0x1000000 + ((moves[at + 1] << 16) | (moves[at + 2] << 8) | moves[at + 3]);
      const to = (moves[at + 4] << 8) | moves[at + 5];
      if (v <= before || v >= viewers.count) say("moves: viewer");
      if (to >= streams || to === viewers.stream[v]) say("moves: stream");
      if (!((presence[v >> 3] >> (7 - (v & 7))) & 1)) say("moves: not present");
      before = v;
      const counted = viewers.counted[v];
      if (this.told && counted !== NEVER && counted > i - window) {
        const slot = (counted % window) * streams;
        this.streamRing[slot + viewers.stream[v]]--;
        this.streamRing[slot + to]++;
        this.streamLive[viewers.stream[v]]--;
        this.streamLive[to]++;
      }
      viewers.stream[v] = to;
    }
  }

  bits(entry, parts, say) {
    const { presence, breaks } = parts;
    let present = 0;
    let breaking = 0;
    for (let at = 0; at < presence.length; at++) {
      present += ONES[presence[at]];
      if (breaks === null) continue;
      breaking += ONES[breaks[at]];
      if (presence[at] & breaks[at]) say("present and breaking");
    }
    const spare = (8 - (entry.viewers % 8)) % 8;
    const end = presence.length - 1;
    if (spare > 0 && ((presence[end] | (breaks === null ? 0 : breaks[end])) & ((1 << spare) - 1)) !== 0) say("spare bits");
    if (present !== entry.present) say(`present: ${entry.present} ≠ ${present}`);
    if (breaking !== entry.breaks) say(`breaks: ${entry.breaks} ≠ ${breaking}`);
  }

  // One viewer present in tick i.
  present(v, i, index) {
    const { viewers, window } = this;
    const stage = viewers.stage[v];
    const before = viewers.last[v];
    const paired = before !== NEVER && i - before <= window && viewers.broken[v] === 0;
    const group = this.groups[stage];
    group.present(i, before);
    if (paired) {
      group.proven(before, i);
      const end = Math.min(i, this.finals);
      if (end > before) viewers.provenTicks[v] += end - before;
    }
    viewers.last[v] = i;
    viewers.broken[v] = 0;
    if (stage > 0) {
      if (viewers.excludedBy[v] < index) return;
      this.until.present(i, before);
      if (paired) this.until.proven(before, i);
    }
    if (this.told) {
      const stream = viewers.stream[v];
      if (before > i - window && before !== NEVER) this.streamRing[(before % window) * this.streams + stream]--;
      else this.streamLive[stream]++;
      this.streamRing[(i % window) * this.streams + stream]++;
    }
    viewers.counted[v] = i;
  }

  // The next tick: its entry, the entry's number, its body.
  tick(entry, index, body) {
    const i = this.ticks++;
    const { viewers, window } = this;
    const say = (what) => deny("count", `entry ${index} (tick ${entry.tick}): ${what}`);
    const parts = this.parts(entry, body, say);
    this.bits(entry, parts, say);
    for (const group of this.groups) group.begin(i);
    this.until.begin(i);
    if (this.told) {
      const slot = (i % window) * this.streams;
      for (let s = 0; s < this.streams; s++) {
        this.streamLive[s] -= this.streamRing[slot + s];
        this.streamRing[slot + s] = 0;
      }
    }
    this.register(entry, body, index, say);
    this.move(parts, i, say);
    const { presence, breaks } = parts;
    for (let at = 0; at < presence.length; at++) {
      for (let byte = presence[at]; byte !== 0; ) {
        const bit = Math.clz32(byte) - 24;
        this.present(at * 8 + bit, i, index);
        byte &= 0x7f >> bit;
      }
      for (let byte = breaks === null ? 0 : breaks[at]; byte !== 0; ) {
        const bit = Math.clz32(byte) - 24;
        viewers.broken[at * 8 + bit] = 1;
        byte &= 0x7f >> bit;
      }
    }
    this.compare(entry, i, say);
  }

  compare(entry, i, say) {
    for (const group of this.groups) group.lives[i] = group.live;
    const live = this.groups[0].live + this.until.live;
    const k = i - this.window;
    if (k >= 0) {
      this.provenSum += this.groups[0].delta[k] + this.until.delta[k];
      this.proven[k] = this.provenSum;
    }
    const proven = k >= 0 ? this.provenSum : 0;
    this.lives[i] = live;
    if (entry.live !== live) say(`live: ${entry.live} ≠ ${live}`);
    if (entry.proven !== proven) say(`proven: ${entry.proven} ≠ ${proven}`);
    for (let s = 0; s < this.streamLive.length; s++) {
      if (entry.streams[s] !== this.streamLive[s]) say(`streams[${s}]: ${entry.streams[s]} ≠ ${this.streamLive[s]}`);
    }
  }
}

// The body of a tick entry, from what is stored of it: as long as its numbers say, and the one of its root.
// `storedLength` bytes of it are stored; `read()` gives it, once it is known to be no longer than it may be.
async function openBody(entry, index, storedLength, read) {
  const bitmap = Math.ceil(entry.viewers / 8);
  const length = 18 * entry.new + 6 * entry.moves + bitmap + (entry.breaks === 0 ? 0 : bitmap);
  const say = (what) => deny("body", `entry ${index} (tick ${entry.tick}): ${what}`);
  if (length !== entry.body_bytes) say("body_bytes");
  if ((length === 0) !== (storedLength === 0)) say("length");
  if (length > 1032 * storedLength) say("length");
  if (storedLength > length + Math.floor(length / 1000) + 64) say("length");
  if (length > BODY_MOST) unreadable("too_large", `entry ${index}`);
  let body = new Uint8Array(0);
  if (length > 0) {
    try {
      body = inflated(await read(), length);
    } catch (error) {
      if (!(error instanceof BadDeflate)) throw error;
      say(error.message);
    }
  }
  if (base64(bodyRoot(body)) !== entry.body_root) say("body_root");
  return body;
}
