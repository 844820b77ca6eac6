// run.mjs: the verifier without a browser. JSON lines in: {"pack": path, "key": null or text, "checkpoints": [text]};
// one JSON line out for each.
import { openSync, readSync, fstatSync, closeSync } from "node:fs";
import { createInterface } from "node:readline";
import { load } from "./load.mjs";

const { verifyPack, reportOf } = load("verifyPack", "reportOf");
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
  process.stdout.write(reportOf(result) + "\n");
}
