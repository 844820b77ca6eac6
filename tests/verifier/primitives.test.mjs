// primitives.test.mjs: hashes, signatures, inflating and JSON of the verifier, against Node's own or the page's rules.
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { test } from "node:test";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { load } from "./load.mjs";

const { sha256, ownSha512, edOwn, edVerifies, edHasNative, inflated, readCanonical, canonical, hex, bodyRoot, parseNote, parseKey, unbase64, base64, intervalsIn, ticksIn, youtubeCounts, offsetOf } = load(
  "sha256", "ownSha512", "edOwn", "edVerifies", "edHasNative", "inflated", "readCanonical", "canonical", "hex", "bodyRoot", "parseNote", "parseKey", "unbase64", "base64", "intervalsIn", "ticksIn", "youtubeCounts", "offsetOf",
);
const ascii = (text) => new TextEncoder().encode(text);

test("SHA-256 and SHA-512 of every length around a block", () => {
  for (let n = 0; n < 300; n++) {
    const bytes = randomBytes(n);
    const [a, b] = [bytes.subarray(0, n >> 1), bytes.subarray(n >> 1)];
    assert.equal(hex(sha256(a, b)), createHash("sha256").update(bytes).digest("hex"));
    assert.equal(hex(ownSha512(bytes)), createHash("sha512").update(bytes).digest("hex"));
  }
});

test("Ed25519: WebCrypto and whole numbers agree, and both are strict", async () => {
  assert.equal(await edHasNative(), true);
  const order = (1n << 252n) + 27742317777372353535851937790883648493n;
  for (let i = 0; i < 12; i++) {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const key = new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(12));
    const message = new Uint8Array(randomBytes(i * 11));
    const good = new Uint8Array(sign(null, message, privateKey));
    const spoilt = good.slice();
    spoilt[i * 5] ^= 1 << (i % 8);
    const high = good.slice();
    let s = BigInt("0x" + Buffer.from(good.subarray(32)).reverse().toString("hex")) + order;
    for (let k = 32; k < 64; k++, s >>= 8n) high[k] = Number(s & 255n);
    for (const one of [edOwn, edVerifies]) {
      assert.equal(await one(key, message, good), true);
      assert.equal(await one(key, message, spoilt), false);
    }
    assert.equal(await edVerifies(key, message, high), false);
    assert.equal(await edVerifies(key, message, good.subarray(1)), false);
  }
  // The neutral element as a key, with R neutral and S = 0, "signs" everything.
  const neutral = new Uint8Array(32);
  neutral[0] = 1;
  const forged = new Uint8Array(64);
  forged[0] = 1;
  assert.equal(await edVerifies(neutral, ascii("x"), forged), false);
  const spelledHigh = new Uint8Array(32).fill(255); // y above p
  assert.equal(await edVerifies(spelledHigh, ascii("x"), forged), false);
});

test("a browser without WebCrypto verifies all the same", async () => {
  const fresh = load("edVerifies", "edHasNative");
  const before = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  Object.defineProperty(globalThis, "crypto", { value: undefined, configurable: true });
  try {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const key = new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(12));
    const good = new Uint8Array(sign(null, ascii("text"), privateKey));
    assert.equal(await fresh.edHasNative(), false);
    assert.equal(await fresh.edVerifies(key, ascii("text"), good), true);
    assert.equal(await fresh.edVerifies(key, ascii("test"), good), false);
  } finally {
    Object.defineProperty(globalThis, "crypto", before);
  }
});

test("inflating takes and refuses what zlib does", () => {
  for (let i = 0; i < 1500; i++) {
    const n = (i * 37) % 900;
    const bytes = Buffer.from(Array.from(randomBytes(n), (byte) => (byte < 200 ? byte % 3 : byte)));
    const stored = deflateRawSync(bytes, { level: i % 10, strategy: i % 5 });
    assert.deepEqual(Buffer.from(inflated(stored, n)), bytes);
    const spoilt = Buffer.from(stored);
    for (let k = 0; k <= i % 3; k++) spoilt[randomBytes(1)[0] % Math.min(spoilt.length, 60)] ^= 1 << (i % 8);
    let theirs = null;
    try {
      const { buffer, engine } = inflateRawSync(spoilt, { info: true });
      if (engine.bytesWritten === spoilt.length) theirs = buffer;
    } catch {
      // refused
    }
    let ours = null;
    try {
      ours = inflated(spoilt, theirs === null ? n : theirs.length);
    } catch {
      // refused
    }
    assert.deepEqual(ours === null ? null : Buffer.from(ours), theirs, spoilt.toString("hex"));
  }
  assert.throws(() => inflated(deflateRawSync(Buffer.alloc(9)), 8));
  assert.throws(() => inflated(deflateRawSync(Buffer.alloc(9)), 10));
  assert.throws(() => inflated(Buffer.concat([deflateRawSync(Buffer.alloc(9)), Buffer.of(0)]), 9));
});

test("JSON in one spelling only", () => {
  const good = ["{}", "[]", '{"a":1,"b":[true,false,null]}', '"\\u00e9\\ud83d\\ude00\\n\\"\\\\/"', "-9007199254740991", "0", '"\\u007f\\u0000"'];
  for (const text of good) assert.equal(canonical(readCanonical(ascii(text))), text);
  const bad = [
    "", " {}", "{} ", '{"b":1,"a":2}', '{"a":1,"a":2}', "01", "-0", "1.0", "1e3", "9007199254740992", '"\\u0041"', '"\\/"', '"é"', '"\\u000a"',
    '"\\ud800"', '"\\udc00\\ud800"', '"\\u00E9"', "[1,]", '{"a"}', "nul", '"', '"\\', '"\\u00', "[[[[[[1]]]]]]", "99999999999999999999", '{"a":1,}', "\ufeff{}", '"\u007f"',
  ];
  for (const text of bad) assert.throws(() => readCanonical(ascii(text)), text);
  assert.equal(readCanonical(ascii('{"__proto__":1}')).__proto__, 1);
});

test("base64, keys and notes", () => {
  for (let n = 0; n < 50; n++) {
    const bytes = randomBytes(n);
    assert.equal(base64(bytes), bytes.toString("base64"));
    assert.deepEqual(Buffer.from(unbase64(bytes.toString("base64"))), bytes);
  }
  for (const text of ["A", "AA", "AAA", "AB==", "AAB=", "A===", "AA=A", "AA==AAAA", "AA\n=", " AA=", "AA-_"]) assert.equal(unbase64(text), null, text);
  assert.equal(parseKey("a+00000000+AQ==", 1), null);
  for (const text of ["", "x", "x\n\n", "x\n\n\u2014 a AAAA\n", "x\n\n\u2014 a AAAAAAA=", "x\n\n\u2014 a  AAAAAAA=\n", "x\n\n\u2014 a+b AAAAAAA=\n", "x\r\n\n\u2014 a AAAAAAA=\n"]) {
    assert.equal(parseNote(ascii(text)), null, JSON.stringify(text));
  }
  assert.equal(parseNote(ascii("x\n\n\u2014 a AAAAAAA=\n")).text, "x\n");
});

test("gaps are counted by intervals", () => {
  const gaps = [{ first: 5, last: 2 ** 53 - 1 }, { first: 1, last: 3 }, { first: 2, last: 4 }];
  assert.deepEqual(intervalsIn(gaps, 2, 9), [[2, 9]]);
  assert.equal(ticksIn(gaps, 0, 9), 9);
  assert.equal(ticksIn([], 0, 9), 0);
});

test("answers of youtube", () => {
  const read = (value) => youtubeCounts(ascii(typeof value === "string" ? value : JSON.stringify(value)), ["v"])[0];
  const item = (viewers) => ({ items: [{ id: "v", liveStreamingDetails: { concurrentViewers: viewers } }] });
  assert.equal(read(item("12")), 12);
  assert.equal(read(item("0")), 0);
  for (const bad of [12, "01", "", "12345678901", "-1", null]) assert.equal(read(item(bad)), null);
  assert.equal(read({ items: [...item("1").items, ...item("1").items] }), null);
  assert.equal(read("\ufeff" + JSON.stringify(item("1"))), null);
  assert.equal(read(JSON.stringify({ ...item("1"), x: "[".repeat(600) })), null);
  assert.equal(read("[]"), null);
  assert.equal(youtubeCounts(Uint8Array.of(0xff), ["v"])[0], null);
});

test("local spellings of an instant", () => {
  assert.equal(offsetOf("1970-01-01T03:00:01+03:00", 1), 10800);
  assert.equal(offsetOf("1970-01-01T00:00:01+00:00", 1), 0);
  for (const text of ["1970-01-01T00:00:01-00:00", "1970-01-01T00:00:01Z", "1970-01-01T00:00:02+00:00", "1969-12-31T23:00:01-01:00", "1970-01-01T24:00:01+24:00", "1970-01-01T00:60:01+01:00"]) {
    assert.equal(offsetOf(text, 1), null, text);
  }
});

test("the root of a body", () => {
  const leaf = (bytes) => createHash("sha256").update(Buffer.of(0)).update(bytes).digest();
  const node = (a, b) => createHash("sha256").update(Buffer.of(1)).update(a).update(b).digest();
  const body = randomBytes(64 * 4 + 3);
  const blocks = [0, 1, 2, 3, 4].map((i) => leaf(body.subarray(64 * i, 64 * i + 64)));
  const root = node(node(node(blocks[0], blocks[1]), node(blocks[2], blocks[3])), blocks[4]);
  assert.deepEqual(Buffer.from(bodyRoot(body)), root);
});
