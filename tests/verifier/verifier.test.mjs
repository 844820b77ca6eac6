// verifier.test.mjs: true packs hold with the numbers worked out the slow way; spoilt ones are refused, and where.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";
import { sha, signer, Writer } from "./writing.mjs";

const { verifyPack } = load("verifyPack");

export async function verified(bytes, given = {}) {
  const source = { size: bytes.length, read: async (at, length) => new Uint8Array(bytes.subarray(at, at + length)) };
  return verifyPack(source, { key: null, checkpoints: [], sheet: null, ...given });
}

// The same numbers in every run.
function chance(seed) {
  return (below) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % below;
  };
}

// An event of chance: joins, moves, breaks, gaps, exclusions before and after.
function crowd(seed, changes = {}, ticks = 30) {
  const any = chance(seed);
  const writer = new Writer({ window: 7 + any(4), ...changes });
  const streams = writer.definition.streams.length;
  if (any(2)) writer.exclude(["v0", "never here"], "a probe");
  writer.epoch(1_700_000_000);
  for (let i = 0; i < ticks; i++) {
    const joins = Array.from({ length: any(4) }, (_, j) => [`v${writer.viewers.length + j}`, any(streams)]);
    const count = writer.viewers.length + joins.length;
    const all = Array.from({ length: count }, (_, v) => v);
    const present = all.filter(() => any(4) === 0);
    const breaks = all.filter((v) => any(9) === 0 && !present.includes(v));
    const on = (v) => (v < writer.streams.length ? writer.streams[v] : joins[v - writer.streams.length][1]);
    const moves = streams > 1 ? present.filter(() => any(5) === 0).map((v) => [v, (on(v) + 1) % streams]) : [];
    writer.tick({ joins, moves, present, breaks });
    if (any(12) === 0) writer.gap(["loss", "lag", "clock"][any(3)], writer.next - 1, writer.next + any(3));
    if (any(10) === 0) writer.exclude([`v${1 + writer.excludes.length * 2}`], ["a probe", "twice"][any(2)]);
    if (any(15) === 0) writer.note("something");
  }
  return writer;
}

function closed(writer) {
  writer.end(writer.next - 1);
  for (let i = 0; i < writer.definition.window; i++) writer.tick();
  return writer;
}

test("packs of chance hold, with the claim that was worked out slowly", async () => {
  for (let seed = 1; seed <= 15; seed++) {
    const count = seed % 3 ? "net" : "gross";
    const rules = { id: "plain", duration_s: 10, presence_s: seed % 5, single_stream: false, count };
    const writer = closed(crowd(seed, { rule_profile: rules }));
    const first = writer.claim();
    assert.equal((await verified(writer.pack())).where, "");
    writer.exclude([`v${writer.viewers.length - 1}`, "v2 again"], "late");
    const between = await verified(writer.pack({ stage: "interim" }));
    assert.equal(between.where, "");
    const second = writer.claim();
    writer.note("the end");
    const found = await verified(writer.pack({ stage: "final" }), { key: writer.log.key });
    assert.equal(found.where, "", `seed ${seed}`);
    assert.equal(found.figures.value, second.value);
    assert.equal(found.superseded, 1);
    assert.deepEqual(found.figures.gross, first.gross);
    assert.equal(found.claim.version, 2);
  }
});

test("a pack without a claim is counted all the same", async () => {
  const writer = crowd(7);
  const found = await verified(writer.pack());
  assert.equal(found.where, "");
  assert.equal(found.claim, null);
  assert.deepEqual(found.figures.net, writer.figures(writer.without(writer.entries.length)));
  const bare = new Writer();
  assert.equal((await verified(bare.pack())).outcome, "holds");
  bare.epoch(5);
  assert.equal((await verified(bare.pack())).outcome, "holds");
});

test("more than 256 entries: tiles of two levels, bundles of two numbers", async () => {
  const writer = closed(crowd(3, {}, 280));
  writer.claim();
  assert.equal((await verified(writer.pack())).where, "");
});

test("witnesses make L2, tokens are not checked", async () => {
  const witnesses = [signer("w1.example", 4), signer("w2.example", 4)];
  const trust = { witnesses: witnesses.map((one) => ({ key: one.key, url: "" })), quorum: 2, authorities: [] };
  const writer = closed(crowd(5, { trust }));
  writer.claim();
  writer.keep(3, [witnesses[1]]);
  writer.keep(writer.entries.length, witnesses);
  const found = await verified(writer.pack());
  assert.deepEqual([found.where, found.levels], ["", ["L1", "L2"]]);
  const other = closed(crowd(5, { trust }));
  other.claim();
  other.keep(other.entries.length, [...witnesses].reverse());
  assert.match((await verified(other.pack())).where, /^kept_lines/);
  const forged = closed(crowd(5, { trust }));
  forged.claim();
  forged.keep(forged.entries.length, [{ cosign: () => witnesses[0].cosign("another text\n", 7) }]);
  assert.match((await verified(forged.pack())).where, /^cosignature/);
});

test("checkpoints and keys from outside", async () => {
  const writer = closed(crowd(11));
  const early = writer.log.note(writer.checkpoint(9)).toString();
  const none = writer.log.note(writer.checkpoint(0)).toString();
  writer.claim();
  const bytes = writer.pack();
  const key = `\r\n ${writer.log.key}\t\n`;
  assert.equal((await verified(bytes, { key, checkpoints: [` ${early}\r\n`, none] })).where, "");
  const fork = writer.log.note(writer.checkpoint(9).replace("\n9\n", "\n10\n")).toString();
  assert.match((await verified(bytes, { checkpoints: [fork] })).where, /^given_fork/);
  const long = writer.log.note(writer.checkpoint(9).replace("\n9\n", "\n99999\n")).toString();
  assert.match((await verified(bytes, { checkpoints: [long] })).where, /^given_longer/);
  assert.match((await verified(bytes, { checkpoints: ["nothing"] })).outcome, /does_not_hold/);
  const stranger = signer(writer.log.name);
  assert.match((await verified(bytes, { key: stranger.key })).where, /^other_key/);
  assert.match((await verified(bytes, { key: "nonsense" })).where, /^key_given/);
  assert.match((await verified(bytes, { checkpoints: [stranger.note(writer.checkpoint(9)).toString()] })).where, /^checkpoint_key/);
});

test("a sheet that was kept gives the key", async () => {
  const writer = closed(crowd(23));
  writer.claim();
  const bytes = writer.pack();
  const found = await verified(bytes, { sheet: new Uint8Array(writer.sheet) });
  assert.deepEqual([found.where, found.key_given], ["", true]);
  const sheet = (text) => verified(bytes, { sheet: new TextEncoder().encode(text) });
  assert.equal((await sheet("What was agreed.\n")).code, "sheet_key");
  assert.equal((await sheet(`streamcount.sheet/v1\n${signer("x").key}\n`)).code, "other_key");
  assert.equal((await sheet(`streamcount.sheet/v1\n${writer.log.key}\nWhat was not agreed.\n`)).code, "sheet_given");
});

test("roots of authorities are spelled in one way", async () => {
  const der = Buffer.from(Array.from({ length: 150 }, (_, i) => i));
  const pem = (lines) => Buffer.from(`-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`);
  const text = der.toString("base64");
  const right = text.match(/.{1,64}/g).map((line) => line + "\n").join("");
  const authorities = [{ name: "tsa", root_sha256: sha(der).toString("base64"), url: "" }];
  const made = (file) => {
    const writer = closed(crowd(29, { trust: { witnesses: [], quorum: 0, authorities } }));
    writer.roots = [["trust/tsa.pem", file]];
    writer.claim();
    writer.keep(9, [], [["tsa", Buffer.from("a token that nobody checks here")]]);
    return writer.pack();
  };
  const found = await verified(made(pem(right)));
  assert.deepEqual([found.where, found.levels, found.tokens], ["", ["L1"], 1]);
  const wrong = [text + "\n", right.replaceAll("\n", "\r\n"), right + "\n", "", right.slice(0, -1), right.replace("A", "B"), ` ${right}`];
  for (const lines of wrong) assert.equal((await verified(made(pem(lines)))).code, "root_file", lines);
  assert.equal((await verified(made(Buffer.concat([pem(right), pem(right)])))).code, "root_file");
});

test("witnesses are different keys under different names", async () => {
  const one = signer("w.example", 4);
  const renamed = one.renamed("v.example");
  for (const keys of [[one.key, one.key], [one.key, renamed]]) {
    const trust = { witnesses: keys.map((key) => ({ key, url: "" })), quorum: 2, authorities: [] };
    assert.equal((await verified(new Writer({ trust }).pack())).code, "entry");
  }
});

test("a stored body may not be padded without end", async () => {
  const padded = (blocks) => {
    const writer = closed(crowd(31, {}, 5));
    writer.padding = Buffer.concat(Array(blocks).fill(Buffer.of(0, 0, 0, 255, 255)));
    return verified(writer.pack());
  };
  assert.equal((await padded(5)).where, "");
  assert.equal((await padded(30)).code, "body");
});

test("a count that is not the bitmaps', a claim that is not the counts'", async () => {
  for (const change of [{ live: 1 }, { proven: 1 }, { streams: [1, 0] }, { present: 1 }, { body_bytes: 3 }, { new: 0 }]) {
    const writer = new Writer();
    writer.epoch(100);
    writer.tick({ joins: [["a", 0], ["b", 1]], present: [0, 1] }, change);
    assert.equal((await verified(writer.pack())).outcome, "does_not_hold", JSON.stringify(change));
  }
  const changes = [
    { value: 99 }, { version: 2 }, { size: 4 }, { loss_ticks: 1e6 }, { instant: null }, { reason: "x" }, { first: 0 },
    { instant: { utc: "1970-01-01T00:00:00Z", local: "", until_utc: "", until_local: "" } }, { streams: [1, 2] },
    { exclusions: [] }, { platform: {} }, { unknown: 1 }, { profile: { pass: true } }, { origin: "x" },
  ];
  for (const change of changes) {
    const writer = closed(crowd(13));
    writer.claim(change);
    const found = await verified(writer.pack());
    assert.equal(found.outcome, "does_not_hold", JSON.stringify(change));
    assert.match(found.where, /entry \d+/);
  }
});

test("any one byte changed: refused", async () => {
  const writer = closed(crowd(17, {}, 6));
  writer.claim();
  const bytes = writer.pack();
  const any = chance(99);
  for (let i = 0; i < 400; i++) {
    const spoilt = Buffer.from(bytes);
    spoilt[any(bytes.length)] ^= 1 << any(8);
    assert.equal((await verified(spoilt)).outcome, "unreadable");
  }
  for (const spoilt of [bytes.subarray(1), bytes.subarray(0, -1), Buffer.concat([bytes, Buffer.of(0)]), Buffer.alloc(0), Buffer.alloc(500)]) {
    const found = await verified(spoilt);
    assert.equal(found.outcome, "unreadable");
    assert.notEqual(found.code, "internal");
  }
});

test("files missing, added, in another order, or changed under a new manifest", async () => {
  const writer = closed(crowd(19, {}, 6));
  writer.claim();
  const files = writer.files();
  for (let i = 0; i < files.length; i++) {
    const without = files.filter((_, at) => at !== i);
    const spoilt = files.map(([name, bytes], at) => [name, at === i ? Buffer.concat([bytes, Buffer.of(65)]) : bytes]);
    const swapped = [...files];
    if (i > 0) [swapped[i - 1], swapped[i]] = [swapped[i], swapped[i - 1]];
    const added = [...files.slice(0, i), ["extra.txt", Buffer.of(1)], ...files.slice(i)];
    for (const list of i > 0 ? [without, spoilt, swapped, added] : [without, added]) {
      const found = await verified(writer.pack({ files: list }));
      assert.equal(found.outcome, "does_not_hold", files[i][0]);
      assert.notEqual(found.code, "internal");
    }
  }
  assert.match((await verified(writer.pack({ stage: "interim" }))).where, /^stage/);
});
