// forging.test.mjs: what the key's holder signed, spoilt in every entry: refused or held, never a fall.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import { canonical, Writer } from "./writing.mjs";
import { zip } from "./zipping.mjs";

const { verifyPack } = load("verifyPack");

async function verified(bytes) {
  const source = { size: bytes.length, read: async (at, length) => new Uint8Array(bytes.subarray(at, at + length)) };
  return verifyPack(source, { key: null, checkpoints: [], sheet: null });
}

let seed = 77;
function any(below) {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return (seed >>> 8) % below;
}

const youtube = (video) => ({ name: "youtube", video });
const streams = ["a", "b", "c"].map((id, i) => ({
  id, title: { ar: "", en: "" }, source: "", platform: i === 0 ? null : i === 1 ? youtube("x") : { name: "other", video: "y" },
}));

// A log with an entry of every type.
function whole() {
  const writer = new Writer({ streams });
  writer.exclude(["a"], "early");
  writer.epoch(1000);
  writer.tick({ joins: [["a", 0], ["b", 1], ["c", 2]], present: [0, 1] });
  const answer = Buffer.from('{"items":[{"id":"x","liveStreamingDetails":{"concurrentViewers":"12"}}]}');
  writer.sample({ round: 1, streams: [1], asked_ms: 1_000_100, answered_ms: 1_000_300, answer, counts: [12] });
  writer.sample({ platform: "other", round: 1, streams: [2], asked_ms: 1_000_200, answered_ms: 1_000_400, counts: [30] });
  writer.tick({ moves: [[1, 0]], present: [1, 2], breaks: [0] });
  writer.gap("loss", 1001, 1003);
  writer.gap("clock", 1001, 1001);
  writer.sample({ round: 3, streams: [1], asked_ms: 1_001_100, answered_ms: 1_001_300, status: null, failure: "timeout", counts: [null] });
  writer.tick({ present: [0, 1, 2] });
  writer.note("a note");
  writer.end(1004);
  for (let i = 0; i < 9; i++) writer.tick(i < 2 ? { present: [0, 1] } : {});
  const found = { peak: 42, peak_ms: 1_000_100, peak_missing: 0, before: null, after: null, second: null, median: 42 };
  writer.claim({}, { ...found, rounds: 2, numbers: 1, samples: 3, failed: 1, absent: 0 });
  writer.note("behind");
  return writer;
}

const ODD = [null, true, -1, 0, 1, 2, 999, 2 ** 40, 2 ** 53 - 1, "", "x", "a\u0000\u202e", [], {}, [null], { a: 1 }, "AAAA", "none", [[[]]]];

function spoilt(value) {
  if (value !== null && typeof value === "object" && any(5) > 0) {
    const copy = Array.isArray(value) ? [...value] : { ...value };
    const keys = Object.keys(copy);
    const key = keys[any(keys.length || 1)];
    const what = any(12);
    if (key === undefined || what === 0) Array.isArray(copy) ? copy.push(ODD[any(ODD.length)]) : (copy.more = 1);
    else if (what === 1) Array.isArray(copy) ? copy.splice(Number(key), 1) : delete copy[key];
    else if (what === 2 && Array.isArray(copy)) copy.push(copy[0]);
    else copy[key] = spoilt(copy[key]);
    return copy;
  }
  if (typeof value === "number" && any(2)) return value + [1, -1, 8, 256][any(4)];
  if (typeof value === "boolean") return !value;
  return ODD[any(ODD.length)];
}

test("a log with everything in it holds", async () => {
  const writer = whole();
  const found = await verified(writer.pack({ stage: "final" }));
  assert.equal(found.where, "");
  assert.deepEqual(found.platforms_unread, ["other"]);
  assert.equal(found.platform.peak, 42);
});

test("every entry spoilt and signed again", async () => {
  const codes = new Map();
  for (let i = 0; i < 350; i++) {
    const writer = whole();
    const at = any(writer.entries.length);
    const entry = JSON.parse(writer.entries[at]);
    const other = canonical(spoilt(entry));
    if (other === canonical(entry)) continue;
    writer.entries[at] = Buffer.from(other);
    const found = await verified(writer.pack({ stage: "final" }));
    assert.notEqual(found.code, "internal", `${found.detail} ${other}`);
    codes.set(found.code, (codes.get(found.code) ?? 0) + 1);
    // The root in the claim covers all entries before it, so only what is told or behind it may be otherwise.
    const told = ["claim", "note"].includes(entry.type) && at >= writer.claims[0];
    assert.ok(found.outcome !== "holds" || told, other);
  }
  assert.ok(codes.get("entry") > 20 && codes.get("order") > 0 && codes.get("claim") > 0, JSON.stringify([...codes]));
});

test("bodies spoilt and committed to all the same", async () => {
  for (let i = 0; i < 80; i++) {
    const writer = whole();
    const at = writer.ticksAt[any(writer.ticksAt.length)];
    const body = Buffer.from(writer.bodies[at]);
    body[any(body.length)] ^= 1 << any(8);
    const entry = JSON.parse(writer.entries[at]);
    writer.commit(entry, body);
    writer.entries[at] = Buffer.from(canonical(entry));
    writer.bodies[at] = body;
    const found = await verified(writer.pack({ stage: "final" }));
    assert.notEqual(found.code, "internal", found.detail);
    assert.equal(found.outcome, "does_not_hold");
  }
});

test("65,535 files need the longer end, and a pack of them is read as one", async () => {
  const files = Array.from({ length: 65_535 }, (_, i) => [`f/${i}`, Buffer.alloc(0)]);
  const names = (list) => [...list.slice(0, -1), ["manifest", Buffer.alloc(0)]];
  const found = await verified(zip(names(files)));
  assert.deepEqual([found.outcome, found.code], ["does_not_hold", "missing"]);
  assert.equal((await verified(zip(names(files), false))).outcome, "unreadable");
  assert.equal((await verified(zip(names(files.slice(1))))).outcome, "does_not_hold");
});
