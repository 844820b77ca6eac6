// run.mjs: the verifier without a browser. JSON lines in: {"pack": path, "key": null or text, "checkpoints": [text]};
// one JSON line out for each.
import { openSync, readSync, fstatSync, closeSync } from "node:fs";
import { createInterface } from "node:readline";
import { load } from "./load.mjs";

const { verifyPack } = load("verifyPack");
const TOLD = [
  "outcome", "where", "stage", "origin", "key", "size", "root", "event_id", "kind", "title", "window", "first_tick",
  "last_tick", "close", "peak", "peak_tick", "peak_last_tick", "live_peak", "live_peak_tick", "uniques", "excluded",
  "exclusions", "heartbeats", "late", "claimed_count", "platform", "platforms_unread", "gaps", "claim", "superseded",
  "notes", "levels",
];

// Sums may be above 2^53: written as the numbers that they are.
function told(result) {
  const few = Object.fromEntries(TOLD.filter((key) => result[key] !== undefined).map((key) => [key, result[key]]));
  if (result.figures && !result.claim) few.figures = { ...result.figures, curves: undefined, named: undefined };
  const text = JSON.stringify(few, (_, value) => (typeof value === "bigint" ? `#big#${value}` : value));
  return text.replace(/"#big#(\d+)"/g, "$1");
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") continue;
  const asked = JSON.parse(line);
  const file = openSync(asked.pack, "r");
  const { size } = fstatSync(file);
  const read = async (offset, length) => {
    const bytes = new Uint8Array(length);
    let at = 0;
    for (let got = 1; at < length && got > 0; at += got) got = readSync(file, bytes, at, length - at, offset + at);
    return bytes.subarray(0, at);
  };
  const given = { key: asked.key ?? null, checkpoints: asked.checkpoints ?? [], sheet: null };
  const result = await verifyPack({ size, read }, given);
  closeSync(file);
  process.stdout.write(told(result) + "\n");
}
