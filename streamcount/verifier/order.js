// order.js: the place of every entry among the others (section 10), and what the entries say without the bodies.
"use strict";

const CLAIMS_MOST = 16;
const REASONS_MOST = 16;
const ANSWER_LATE_S = 600;

class Log {
  constructor() {
    this.count = 0;
    this.event = null;
    this.definition = null;
    this.first = null;
    this.ticks = 0;
    this.close = null;
    this.epoch = 0;
    this.viewers = 0;
    this.tickEntries = []; // of each tick the number of its entry
    this.gaps = [];
    this.excludes = []; // {index, reason, pseudonyms: how many}
    this.reasons = new Set();
    this.excluded = new Map(); // pseudonym: place in `excludes`
    this.claims = []; // {index, entry}
    this.notes = [];
    this.remarked = false; // an exclude or a note since the latest claim
    this.rounds = null;
    this.heartbeats = 0n;
    this.late = 0n;
  }

  // The tick that would come now; only once there is an epoch.
  get next() {
    return this.first + this.ticks;
  }

  get latest() {
    return this.ticks === 0 ? null : this.next - 1;
  }

  add(entry) {
    const index = this.count++;
    const out = (what) => deny("order", `entry ${index} (${entry.type}): ${what}`);
    if ((index === 0) !== (entry.type === "event")) out("place");
    this[`add_${entry.type}`](entry, index, out);
  }

  add_event(entry) {
    this.event = entry;
    this.definition = entry.event;
    this.rounds = new Rounds(entry.event);
  }

  // What may come only while it is counted.
  counting(out) {
    if (this.first === null || this.claims.length > 0) out("place");
  }

  add_epoch(entry, index, out) {
    if (this.claims.length > 0) out("place");
    if (entry.epoch <= this.epoch) out("epoch");
    if (this.first === null) this.first = entry.first;
    else if (entry.first !== this.next) out("first");
    this.epoch = entry.epoch;
  }

  add_tick(entry, index, out) {
    this.counting(out);
    const { streams } = this.definition;
    if (entry.tick !== this.next) out("tick");
    if (entry.epoch !== this.epoch) out("epoch");
    if (entry.viewers !== this.viewers + entry.new) out("viewers");
    if (entry.streams.length !== (streams.length <= 64 ? streams.length : 0)) out("streams");
    if (this.close !== null) {
      if (entry.tick > this.close + this.definition.window) out("tick");
      if (entry.tick > this.close && (entry.new || entry.present || entry.breaks)) out("present");
    }
    this.viewers = entry.viewers;
    this.heartbeats += BigInt(entry.heartbeats);
    this.late += BigInt(entry.late);
    this.tickEntries.push(index);
    this.ticks++;
  }

  add_gap(entry, index, out) {
    this.counting(out);
    if (entry.first < this.first) out("first");
    if (entry.kind === "clock" && entry.first < this.next - this.definition.window) out("first");
    this.gaps.push({ kind: entry.kind, first: entry.first, last: entry.last, reason: entry.reason });
  }

  add_exclude(entry, index, out) {
    for (const pseudonym of entry.pseudonyms) {
      if (this.excluded.has(pseudonym)) out("pseudonyms");
      this.excluded.set(pseudonym, this.excludes.length);
    }
    this.excludes.push({ index, reason: entry.reason, pseudonyms: entry.pseudonyms.length });
    if (this.reasons.add(entry.reason).size > REASONS_MOST) out("reason");
    this.remarked = true;
  }

  add_note(entry, index) {
    this.notes.push({ index, text: entry.text, tick: this.latest });
    this.remarked = true;
  }

  add_platform(entry, index, out) {
    this.counting(out);
    const wrong = this.rounds.add(entry);
    if (wrong !== "") out(wrong);
    if (Math.floor(entry.answered_ms / 1000) < this.next - ANSWER_LATE_S) out("answered_ms");
  }

  add_end(entry, index, out) {
    this.counting(out);
    if (this.close !== null) out("place");
    if (entry.close < this.first || entry.close < this.next - 1) out("close");
    this.close = entry.close;
  }

  add_claim(entry, index, out) {
    if (this.close === null || this.next <= this.close + this.definition.window) out("place");
    if (this.claims.length >= CLAIMS_MOST) out("place");
    if (this.claims.length > 0 && !this.remarked) out("place");
    this.claims.push({ index, entry });
    this.remarked = false;
  }

  // Whether nothing but notes came behind the latest claim.
  get final() {
    if (this.claims.length === 0) return false;
    const { index } = this.claims[this.claims.length - 1];
    return !this.excludes.some((one) => one.index > index);
  }
}
