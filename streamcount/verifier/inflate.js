// inflate.js: raw DEFLATE (RFC 1951), as strict as the page's section 8, into a length known before.
"use strict";

const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_MORE = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [];
const DISTANCE_MORE = [];
for (let i = 0, base = 1; i < 30; i++) {
  DISTANCE_BASE.push(base);
  DISTANCE_MORE.push(i < 4 ? 0 : (i >> 1) - 1);
  base += 1 << DISTANCE_MORE[i];
}
const LENGTHS_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

class BadDeflate extends Error {}

// A table for `bits` bits looked ahead: symbol << 4 | length, or 0 where no code begins so.
function codeTable(lengths, from, to, mayBeIncomplete) {
  const counts = new Uint16Array(16);
  let most = 0;
  for (let i = from; i < to; i++) {
    counts[lengths[i]]++;
    if (lengths[i] > most) most = lengths[i];
  }
  let left = 1;
  const next = new Uint16Array(17);
  for (let bits = 1; bits <= 15; bits++) {
    left = left * 2 - counts[bits];
    if (left < 0) throw new BadDeflate("over-subscribed");
    next[bits + 1] = (next[bits] + counts[bits]) << 1;
  }
  if (left > 0 && !(mayBeIncomplete && most <= 1)) throw new BadDeflate("incomplete");
  const bits = Math.max(most, 1);
  const table = new Uint16Array(1 << bits);
  for (let i = from; i < to; i++) {
    const length = lengths[i];
    if (length === 0) continue;
    let code = next[length]++;
    let reversed = 0;
    for (let k = 0; k < length; k++, code >>= 1) reversed = (reversed << 1) | (code & 1);
    for (let at = reversed; at < table.length; at += 1 << length) table[at] = ((i - from) << 4) | length;
  }
  return { table, bits };
}

const FIXED = (() => {
  const lengths = new Uint8Array(288);
  lengths.fill(8, 0, 144);
  lengths.fill(9, 144, 256);
  lengths.fill(7, 256, 280);
  lengths.fill(8, 280, 288);
  return [codeTable(lengths, 0, 288, false), codeTable(new Uint8Array(32).fill(5), 0, 32, false)];
})();

class Inflating {
  constructor(bytes, length) {
    this.bytes = bytes;
    this.at = 0;
    this.word = 0;
    this.held = 0;
    this.out = new Uint8Array(length);
    this.length = 0;
  }

  // Up to 16 bits.
  take(count) {
    while (this.held < count) {
      if (this.at >= this.bytes.length) throw new BadDeflate("cut off");
      this.word |= this.bytes[this.at++] << this.held;
      this.held += 8;
    }
    const value = this.word & ((1 << count) - 1);
    this.word >>>= count;
    this.held -= count;
    return value;
  }

  symbol(code) {
    while (this.held < code.bits && this.at < this.bytes.length) {
      this.word |= this.bytes[this.at++] << this.held;
      this.held += 8;
    }
    const found = code.table[this.word & ((1 << code.bits) - 1)];
    const length = found & 15;
    if (length === 0) throw new BadDeflate("no such code");
    if (length > this.held) throw new BadDeflate("cut off");
    this.word >>>= length;
    this.held -= length;
    return found >> 4;
  }

  stored() {
    // Bytes that were looked at too early are given back.
    this.at -= this.held >> 3;
    this.word = 0;
    this.held = 0;
    const length = this.take(16);
    if ((this.take(16) ^ 0xffff) !== length) throw new BadDeflate("length of a stored block");
    if (this.at + length > this.bytes.length) throw new BadDeflate("cut off");
    if (this.length + length > this.out.length) throw new BadDeflate("too long");
    this.out.set(this.bytes.subarray(this.at, this.at + length), this.length);
    this.at += length;
    this.length += length;
  }

  codes() {
    const literals = this.take(5) + 257;
    const distances = this.take(5) + 1;
    const given = this.take(4) + 4;
    if (literals > 286 || distances > 30) throw new BadDeflate("too many symbols");
    const lengths = new Uint8Array(320);
    for (let i = 0; i < given; i++) lengths[LENGTHS_ORDER[i]] = this.take(3);
    const code = codeTable(lengths, 0, 19, false);
    lengths.fill(0);
    for (let i = 0; i < literals + distances; ) {
      const symbol = this.symbol(code);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      if (symbol === 16 && i === 0) throw new BadDeflate("nothing to repeat");
      const value = symbol === 16 ? lengths[i - 1] : 0;
      const times = symbol === 16 ? 3 + this.take(2) : symbol === 17 ? 3 + this.take(3) : 11 + this.take(7);
      if (i + times > literals + distances) throw new BadDeflate("repeats beyond the end");
      lengths.fill(value, i, i + times);
      i += times;
    }
    if (lengths[256] === 0) throw new BadDeflate("no end of block");
    return [
      codeTable(lengths, 0, literals, true),
      codeTable(lengths, literals, literals + distances, true),
    ];
  }

  block(literals, distances) {
    const out = this.out;
    for (;;) {
      const symbol = this.symbol(literals);
      if (symbol < 256) {
        if (this.length >= out.length) throw new BadDeflate("too long");
        out[this.length++] = symbol;
        continue;
      }
      if (symbol === 256) return;
      if (symbol > 285) throw new BadDeflate("no such length");
      const length = LENGTH_BASE[symbol - 257] + this.take(LENGTH_MORE[symbol - 257]);
      const which = this.symbol(distances);
      if (which > 29) throw new BadDeflate("no such distance");
      const distance = DISTANCE_BASE[which] + this.take(DISTANCE_MORE[which]);
      if (distance > this.length) throw new BadDeflate("distance too far back");
      if (this.length + length > out.length) throw new BadDeflate("too long");
      for (let i = 0, at = this.length; i < length; i++, at++) out[at] = out[at - distance];
      this.length += length;
    }
  }
}

// Exactly `length` bytes from exactly these, or BadDeflate.
function inflated(bytes, length) {
  const stream = new Inflating(bytes, length);
  for (let last = 0; !last; ) {
    last = stream.take(1);
    const kind = stream.take(2);
    if (kind === 0) stream.stored();
    else if (kind === 1) stream.block(...FIXED);
    else if (kind === 2) stream.block(...stream.codes());
    else throw new BadDeflate("no such kind of block");
  }
  if (stream.at - (stream.held >> 3) !== bytes.length) throw new BadDeflate("bytes behind the end");
  if (stream.length !== length) throw new BadDeflate("too short");
  return stream.out;
}
