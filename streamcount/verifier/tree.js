// tree.js: the Merkle tree of RFC 6962, its tiles and their names (sections 5 and 6), and roots of bodies.
"use strict";

const EMPTY_ROOT = sha256();

// Hashes of 32 bytes, one behind the other.
class Hashes {
  constructor(capacity = 64) {
    this.bytes = new Uint8Array(capacity * 32);
    this.count = 0;
  }

  room() {
    if ((this.count + 1) * 32 > this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    return this.count++ * 32;
  }

  slice(from, to) {
    return this.bytes.subarray(from * 32, to * 32);
  }
}

// levels[l] holds the roots of all complete subtrees of 2^l leaves.
class Tree {
  constructor() {
    this.levels = [new Hashes()];
  }

  get size() {
    return this.levels[0].count;
  }

  push(entry) {
    const leaf = sha256(Uint8Array.of(0), entry);
    const at = this.levels[0].room(); // before `bytes` is looked at: it may be another one then
    this.levels[0].bytes.set(leaf, at);
    for (let l = 0; this.levels[l].count % 2 === 0; l++) {
      this.levels[l + 1] ??= new Hashes(8);
      const to = this.levels[l + 1].room();
      shaPrefixed(1, this.levels[l].bytes, (this.levels[l].count - 2) * 32, 64, this.levels[l + 1].bytes, to);
    }
  }

  // The root over the first m leaves, m <= size.
  root(m = this.size) {
    if (m === 0) return EMPTY_ROOT;
    let out = null;
    const pair = new Uint8Array(64);
    for (let l = 0, rest = m; rest > 0; l++, rest = Math.floor(rest / 2)) {
      if (rest % 2 === 0) continue;
      const left = this.levels[l].slice(rest - 1, rest);
      if (out === null) {
        out = left.slice();
      } else {
        pair.set(left);
        pair.set(out, 32);
        shaPrefixed(1, pair, 0, 64, out, 0);
      }
    }
    return out;
  }

  // SHA-256 of the tile that `tilesOf` names.
  tileSha(tile) {
    return sha256(this.levels[tile.level * 8].slice(tile.number * 256, tile.number * 256 + tile.width));
  }
}

function numberPath(number) {
  const digits = String(number);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/.{3}/g);
  return groups.map((group, i) => (i < groups.length - 1 ? "x" + group : group)).join("/");
}

function widthPath(width) {
  return width === 256 ? "" : `.p/${width}`;
}

// Every tile of a tree of n leaves, by level, then by number.
function* tilesOf(n) {
  for (let level = 0, count = n; count > 0; level++, count = Math.floor(count / 256)) {
    for (let number = 0; number * 256 < count; number++) {
      const width = Math.min(256, count - number * 256);
      yield { level, number, width, path: `tile/${level}/${numberPath(number)}${widthPath(width)}` };
    }
  }
}

function* bundlesOf(n) {
  for (let number = 0; number * 256 < n; number++) {
    const width = Math.min(256, n - number * 256);
    const path = numberPath(number) + widthPath(width);
    yield { number, width, entries: `tile/entries/${path}`, bodies: `body/${path}` };
  }
}

// The root over a body's blocks of 64 bytes. A hash without a partner goes up as it is: the same tree as RFC 6962's.
function bodyRoot(body) {
  if (body.length === 0) return EMPTY_ROOT;
  let count = Math.ceil(body.length / 64);
  const hashes = new Uint8Array(count * 32);
  for (let i = 0; i < count; i++) {
    shaPrefixed(0, body, i * 64, Math.min(64, body.length - i * 64), hashes, i * 32);
  }
  while (count > 1) {
    const pairs = count >> 1;
    for (let i = 0; i < pairs; i++) shaPrefixed(1, hashes, i * 64, 64, hashes, i * 32);
    if (count % 2 === 1) hashes.copyWithin(pairs * 32, (count - 1) * 32, count * 32);
    count = pairs + (count % 2);
  }
  return hashes.slice(0, 32);
}
