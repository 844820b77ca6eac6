// verify.js: the steps of section 13, in order, and what they found out so far.
"use strict";

// `source`: {size, read(offset, length) -> Promise of bytes}. `given`: {key: text or null, checkpoints: texts,
// sheet: bytes or null}; a sheet gives a key, too. Never throws: the outcome is in the result.
async function verifyPack(source, given, progress = () => {}) {
  const result = { outcome: "holds", where: "" };
  try {
    await verifySteps(source, given, progress, result);
  } catch (error) {
    const refused = asRefused(error);
    result.outcome = refused.outcome;
    result.where = refused.message;
    result.code = refused.code;
    result.detail = refused.detail;
  }
  return result;
}

function asRefused(error) {
  if (error instanceof Refused) return error;
  if (error instanceof RangeError) return new Refused("unreadable", "too_large", error.message);
  if (globalThis.DOMException && error instanceof DOMException) return new Refused("unreadable", "unread", error.name);
  return new Refused("unreadable", "internal", String(error?.stack ?? error));
}

async function verifySteps(source, given, progress, result) {
  const reader = new Reader(source);
  const files = await readStructure(reader, progress);
  const contents = new Contents(reader, files);
  const key = await takeKey(contents, given.key ?? null, given.sheet ?? null, result);
  await compareManifest(contents, key, result);
  const tree = await rebuild(contents, key, result, progress);
  await compareGiven(given.checkpoints ?? [], key, tree);
  result.compared = (given.checkpoints ?? []).length;
  const log = await readLog(contents, key, result, progress);
  result.sheet = await checkSheet(contents, log, given.sheet ?? null);
  await checkRoots(contents, log.definition.trust);
  const kept = await checkKept(contents, key, tree, log.definition.trust, progress);
  const { counting, tools } = await countAgain(contents, log, result, progress);
  await compareClaims(log, counting, tree, tools, result);
  if ((result.stage === "final") !== log.final) deny("stage", result.stage);
  const claim = log.claims[log.claims.length - 1];
  Object.assign(result, levelsOf(kept, log.definition.trust, claim ? claim.index : result.covered));
  result.kept = kept.length;
  result.tokens = kept.reduce((sum, one) => sum + one.tokens.length, 0);
}

// The keys that were given: pasted, or the second line of a sheet that was kept.
function keysGiven(text, sheet) {
  const out = [];
  if (text !== null) out.push(parseKey(trimmed(text), 1) ?? deny("key_given"));
  if (sheet !== null) {
    const lines = (textOf(sheet) ?? "").split("\n", 3);
    const key = lines.length > 2 && lines[0] === "streamcount.sheet/v1" ? parseKey(lines[1], 1) : null;
    out.push(key ?? deny("sheet_key"));
  }
  return out;
}

async function takeKey(contents, given, sheet, result) {
  const bytes = await contents.bytes("log.vkey", NOTE_MOST);
  const text = textOf(bytes);
  const key = text !== null && text.endsWith("\n") ? parseKey(text.slice(0, -1), 1) : null;
  const wanted = keysGiven(given, sheet);
  result.key_given = wanted.length > 0;
  if (wanted.some((one) => one.text !== key?.text)) deny("other_key");
  if (key === null) deny("key_file");
  result.key = key.text;
  return key;
}

async function compareManifest(contents, key, result) {
  const manifest = await openManifest(await contents.bytes("manifest", MANIFEST_MOST), key);
  const { files } = contents;
  for (let i = 0; i < Math.max(files.length - 1, manifest.lines.length); i++) {
    const file = i < files.length - 1 ? files[i] : null;
    if (file === null || manifest.lines[i]?.slice(66) !== file.name) deny("manifest_files", file?.name ?? manifest.lines[i]);
    if (manifest.lines[i] !== `${hex(file.sha)}  ${file.name}`) deny("changed", file.name);
  }
  result.stage = manifest.stage;
  result.origin = key.name;
}

async function rebuild(contents, key, result, progress) {
  const checkpoint = await openCheckpoint(await contents.bytes("checkpoint", NOTE_MOST), key, "checkpoint");
  if (checkpoint.size < 1) deny("empty");
  contents.arrange(checkpoint.size);
  const tree = new Tree();
  for (const bundle of contents.bundles) {
    progress("hashing", tree.size, checkpoint.size);
    for (const entry of await contents.entries(bundle)) tree.push(entry);
  }
  if (!sameBytes(tree.root(), checkpoint.root)) deny("root");
  for (const tile of contents.tiles) {
    const file = contents.file(tile.path);
    if (file.size !== tile.width * 32 || !sameBytes(file.sha, tree.tileSha(tile))) deny("tile", tile.path);
  }
  result.size = tree.size;
  result.root = hex(checkpoint.root);
  return tree;
}

async function readLog(contents, key, result, progress) {
  const log = new Log();
  try {
    for (const bundle of contents.bundles) {
      progress("entries", log.count, result.size);
      for (const bytes of await contents.entries(bundle)) {
        log.add(readEntry(bytes, log.count));
        if (log.count === 1) {
          tellDefinition(log.definition, result);
          if (log.event.origin !== key.name || log.event.key !== key.text) deny("event_key", "entry 0");
        }
      }
    }
  } finally {
    tellLog(log, result);
  }
  return log;
}

function tellDefinition(definition, result) {
  result.event_id = definition.id;
  result.kind = definition.kind;
  result.title = definition.title;
  result.window = definition.window;
  result.claimed_count = definition.claimed_count;
  result.definition = definition;
}

function tellLog(log, result) {
  if (log.event === null) return;
  const whole = (sum) => (sum <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(sum) : sum);
  const claim = log.claims[log.claims.length - 1];
  result.software = log.event.software;
  result.first_tick = log.first;
  result.last_tick = log.latest;
  result.close = log.close;
  result.heartbeats = whole(log.heartbeats);
  result.late = whole(log.late);
  result.gaps = log.gaps;
  result.exclusions = log.excludes.map((one) => ({ viewers: one.pseudonyms, reason: one.reason }));
  result.platforms_unread = Array.from(log.rounds.unread).sort();
  result.claim = claim ? claim.entry : null;
  result.superseded = Math.max(0, log.claims.length - 1);
  result.notes = log.notes.length;
  result.note_texts = log.notes;
}

// Reads all bodies. `tools` read single ticks again: bodyOf(i), streamsAt(i).
async function countAgain(contents, log, result, progress) {
  const stages = log.excludes.map((one) => {
    const after = log.claims.findIndex((claim) => claim.index > one.index);
    return (after < 0 ? log.claims.length : after) + 1;
  });
  const counting = new Counting(log, stages);
  const places = [];
  let index = 0;
  for (const bundle of contents.bundles) {
    progress("counting", index, result.size);
    const entries = await contents.entries(bundle);
    const bodies = await contents.bodies(bundle);
    for (let i = 0; i < entries.length; i++, index++) {
      if (index !== log.tickEntries[places.length]) {
        if (bodies[i][1] !== 0) deny("body", `entry ${index}: length`);
        continue;
      }
      places.push(bodies[i]);
      const entry = readEntry(entries[i], index);
      counting.tick(entry, index, await openBody(entry, index, bodies[i][1], () => contents.stored(bodies[i])));
    }
  }
  const entryOf = async (i) => readEntry(await contents.entry(log.tickEntries[i]), log.tickEntries[i]);
  const tools = {
    streamsAt: async (i) => (await entryOf(i)).streams,
    bodyOf: async (i) => {
      const entry = await entryOf(i);
      const body = await openBody(entry, log.tickEntries[i], places[i][1], () => contents.stored(places[i]));
      return { entry, body };
    },
  };
  tellCounts(log, counting, result);
  return { counting, tools };
}

function tellCounts(log, counting, result) {
  const tick = (k) => (k === null ? null : log.first + k);
  const found = peakOf(counting.proven, clockTicks(log, counting.proven.length));
  const live = highest(counting.lives);
  result.peak = found.peak;
  result.peak_tick = tick(found.first);
  result.peak_last_tick = tick(found.last);
  result.live_peak = live.peak;
  result.live_peak_tick = tick(live.first);
  result.covered = found.first === null ? null : log.tickEntries[found.first + log.definition.window];
  result.excluded = counting.registered.reduce((sum, one) => sum + one, 0);
  result.uniques = counting.viewers.count - result.excluded;
}

// Every claim, and in `result.figures` what the latest comes to, or the log without one.
async function compareClaims(log, counting, tree, tools, result) {
  let found = null;
  for (let c = 0; c < log.claims.length; c++) {
    const { index } = log.claims[c];
    found = await resultAt(log, counting, c + 1, index, tools);
    checkClaim(log, c, found, tree.root(index));
  }
  if (found === null && log.first !== null) {
    found = await resultAt(log, counting, log.claims.length + 1, log.count, tools);
  }
  result.platform = found === null ? log.rounds.figures(null, null) : found.platform;
  result.figures = found;
}
