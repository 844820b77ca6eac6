// sha256.js: SHA-256 (FIPS 180-4), synchronous: a tree has millions of small hashes.
"use strict";

const SHA_K = new Int32Array(64);
const SHA_START = new Int32Array(8);
// The constants are the first 32 bits of the fractions of roots of the first primes: worked out in whole numbers.
(() => {
  const root = (value, power) => {
    let low = 0n;
    let high = 1n << 40n;
    while (high - low > 1n) {
      const middle = (low + high) >> 1n;
      if (middle ** BigInt(power) <= value << BigInt(32 * power)) low = middle;
      else high = middle;
    }
    return Number(low & 0xffffffffn) | 0;
  };
  let found = 0;
  for (let n = 2; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
    if (!prime) continue;
    if (found < 8) SHA_START[found] = root(BigInt(n), 2);
    SHA_K[found++] = root(BigInt(n), 3);
  }
})();

const SHA_W = new Int32Array(64);

function shaBlock(state, bytes, at) {
  const w = SHA_W;
  for (let i = 0; i < 16; i++, at += 4) {
    w[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15];
    const y = w[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
  }
  let a = state[0], b = state[1], c = state[2], d = state[3];
  let e = state[4], f = state[5], g = state[6], h = state[7];
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + SHA_K[i] + w[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] = (state[0] + a) | 0;
  state[1] = (state[1] + b) | 0;
  state[2] = (state[2] + c) | 0;
  state[3] = (state[3] + d) | 0;
  state[4] = (state[4] + e) | 0;
  state[5] = (state[5] + f) | 0;
  state[6] = (state[6] + g) | 0;
  state[7] = (state[7] + h) | 0;
}

function shaOut(state, out, at) {
  for (let i = 0; i < 8; i++, at += 4) {
    out[at] = state[i] >>> 24;
    out[at + 1] = (state[i] >>> 16) & 255;
    out[at + 2] = (state[i] >>> 8) & 255;
    out[at + 3] = state[i] & 255;
  }
}

class Sha256 {
  constructor() {
    this.state = SHA_START.slice();
    this.held = new Uint8Array(64);
    this.count = 0;
    this.length = 0;
  }

  update(bytes) {
    let at = 0;
    this.length += bytes.length;
    if (this.count > 0) {
      at = Math.min(64 - this.count, bytes.length);
      this.held.set(bytes.subarray(0, at), this.count);
      this.count += at;
      if (this.count < 64) return this;
      shaBlock(this.state, this.held, 0);
      this.count = 0;
    }
    for (; at + 64 <= bytes.length; at += 64) shaBlock(this.state, bytes, at);
    this.held.set(bytes.subarray(at), 0);
    this.count = bytes.length - at;
    return this;
  }

  digest() {
    const tail = new Uint8Array(this.count < 56 ? 64 : 128);
    tail.set(this.held.subarray(0, this.count));
    tail[this.count] = 0x80;
    const bits = new DataView(tail.buffer);
    bits.setUint32(tail.length - 8, Math.floor(this.length / 0x20000000));
    bits.setUint32(tail.length - 4, (this.length * 8) >>> 0);
    for (let at = 0; at < tail.length; at += 64) shaBlock(this.state, tail, at);
    const out = new Uint8Array(32);
    shaOut(this.state, out, 0);
    return out;
  }
}

function sha256(...parts) {
  const hash = new Sha256();
  for (const part of parts) hash.update(part);
  return hash.digest();
}

const SHA_STATE = new Int32Array(8);
const SHA_TWO = new Uint8Array(128);

// SHA-256 of one byte and `length` <= 64 bytes at `from`, written to `out` at `to` (which may be where they were).
function shaPrefixed(prefix, bytes, from, length, out, to) {
  const block = SHA_TWO;
  block.fill(0, length + 1);
  block[0] = prefix;
  for (let i = 0; i < length; i++) block[i + 1] = bytes[from + i];
  block[length + 1] = 0x80;
  const end = length + 1 < 56 ? 64 : 128;
  const bits = (length + 1) * 8;
  block[end - 2] = bits >> 8;
  block[end - 1] = bits & 255;
  SHA_STATE.set(SHA_START);
  shaBlock(SHA_STATE, block, 0);
  if (end === 128) shaBlock(SHA_STATE, block, 64);
  shaOut(SHA_STATE, out, to);
}
