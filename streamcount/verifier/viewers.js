// viewers.js: what is known of every viewer while ticks are counted, in typed arrays; and that no pseudonym comes twice.
"use strict";

const NEVER = -1;

class Viewers {
  constructor() {
    this.count = 0;
    this.grow(256);
    // Chance in the hash, so that nobody can choose pseudonyms that all fall into one place.
    this.seed = (Math.random() * 0x100000000) | 0;
  }

  grow(capacity) {
    const larger = (Kind, held, width = 1, value = 0) => {
      const out = new Kind(capacity * width).fill(value);
      if (held) out.set(held);
      return out;
    };
    this.capacity = capacity;
    this.pseudonyms = larger(Int32Array, this.pseudonyms, 4);
    this.stream = larger(Uint16Array, this.stream);
    // The latest tick (from 0) they were present in; the latest they were counted in by the tick entries.
    this.last = larger(Int32Array, this.last, 1, NEVER);
    this.counted = larger(Int32Array, this.counted, 1, NEVER);
    this.broken = larger(Uint8Array, this.broken);
    this.provenTicks = larger(Int32Array, this.provenTicks);
    // Before which claim they were excluded, from 1; 0: never. And the number of the entry that did it.
    this.stage = larger(Uint8Array, this.stage);
    this.excludedBy = larger(Float64Array, this.excludedBy);
    this.table = new Int32Array(capacity * 2).fill(-1);
    for (let v = 0; v < this.count; v++) this.table[this.place(v)] = v;
  }

  // Where in the table viewer v is, or would be.
  place(v) {
    const { pseudonyms, table } = this;
    const [a, b, c, d] = [pseudonyms[4 * v], pseudonyms[4 * v + 1], pseudonyms[4 * v + 2], pseudonyms[4 * v + 3]];
    let hash = this.seed;
    for (const word of [a, b, c, d]) {
      hash = Math.imul(hash ^ word, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    const mask = table.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const u = table[at];
      if (u < 0) return at;
      const p = 4 * u;
      if (pseudonyms[p] === a && pseudonyms[p + 1] === b && pseudonyms[p + 2] === c && pseudonyms[p + 3] === d) return at;
    }
  }

  // Registers the pseudonym at `at` of these bytes; the viewer's number, or -1 when it is there already.
  register(bytes, at, stream) {
    if (this.count === this.capacity) this.grow(this.capacity * 2);
    const v = this.count;
    for (let i = 0; i < 4; i++, at += 4) {
      this.pseudonyms[4 * v + i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    const place = this.place(v);
    if (this.table[place] >= 0) return -1;
    this.table[place] = v;
    this.stream[v] = stream;
    this.count++;
    return v;
  }
}
