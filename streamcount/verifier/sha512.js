// sha512.js: SHA-512 in whole numbers, for browsers that keep WebCrypto from pages opened as files.
"use strict";

const SHA512_MASK = (1n << 64n) - 1n;
const [SHA512_K, SHA512_START] = (() => {
  const root = (value, power) => {
    let low = 0n;
    let high = 1n << 72n;
    while (high - low > 1n) {
      const middle = (low + high) >> 1n;
      if (middle ** power <= value << (64n * power)) low = middle;
      else high = middle;
    }
    return low & SHA512_MASK;
  };
  const primes = [];
  for (let n = 2; primes.length < 80; n++) if (primes.every((p) => n % p !== 0)) primes.push(n);
  return [
    primes.map((p) => root(BigInt(p), 3n)),
    primes.slice(0, 8).map((p) => root(BigInt(p), 2n)),
  ];
})();

function turned64(x, n) {
  return (x >> n) | ((x << (64n - n)) & SHA512_MASK);
}

// Slow, and enough: what is signed are notes.
function ownSha512(bytes) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 17) / 128) * 128);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  const state = SHA512_START.slice();
  const w = new Array(80);
  for (let at = 0; at < padded.length; at += 128) {
    for (let i = 0; i < 16; i++) w[i] = view.getBigUint64(at + 8 * i);
    for (let i = 16; i < 80; i++) {
      const s0 = turned64(w[i - 15], 1n) ^ turned64(w[i - 15], 8n) ^ (w[i - 15] >> 7n);
      const s1 = turned64(w[i - 2], 19n) ^ turned64(w[i - 2], 61n) ^ (w[i - 2] >> 6n);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) & SHA512_MASK;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 80; i++) {
      const s1 = turned64(e, 14n) ^ turned64(e, 18n) ^ turned64(e, 41n);
      const t1 = (h + s1 + ((e & f) ^ (~e & SHA512_MASK & g)) + SHA512_K[i] + w[i]) & SHA512_MASK;
      const s0 = turned64(a, 28n) ^ turned64(a, 34n) ^ turned64(a, 39n);
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) & SHA512_MASK, c, b, a, (t1 + t2) & SHA512_MASK];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] = (state[i] + value) & SHA512_MASK));
  }
  const out = new Uint8Array(64);
  state.forEach((value, i) => new DataView(out.buffer).setBigUint64(8 * i, value));
  return out;
}
