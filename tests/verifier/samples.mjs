// samples.mjs: packs for tests in a browser: `node samples.mjs FOLDER` writes them, and says what is in them.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { signer, Writer } from "./writing.mjs";

const folder = process.argv[2];
const ATTACK = "<img src=x onerror=alert(1)>\u202eevil";

// Viewers come, stay, go away: a crowd with a top.
function crowd(changes, ticks = 240) {
  const writer = new Writer({ window: 10, ...changes });
  writer.exclude(["probe"], "a probe of the auditor");
  writer.epoch(1_790_000_000);
  let seed = 5;
  const any = () => (seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff) / 0x80000000;
  const here = new Set();
  for (let i = 0; i < ticks; i++) {
    const wanted = 22 * Math.sin((Math.PI * i) / ticks) ** 2 + 4;
    const joins = [];
    while (here.size < wanted && joins.length < 3) {
      here.add(writer.viewers.length + joins.length);
      joins.push([i === 4 && joins.length === 0 ? "probe" : `v${writer.viewers.length + joins.length}`, any() < 0.2 ? 1 : 0]);
    }
    const breaks = [];
    for (const v of here) if (here.size > wanted && any() < 0.1) breaks.push(v);
    for (const v of breaks) here.delete(v);
    writer.tick({ joins, present: [...here].filter((v) => (v + i) % 4 === 0), breaks });
    if (i === 60) writer.gap("loss", writer.next - 6, writer.next + 4);
    if (i === 150) writer.gap("clock", writer.next - 3, writer.next + 8);
    if (i === 100) writer.note("The sound failed for a minute.\nانقطع الصوت دقيقة.");
    if (i === 120) writer.note(ATTACK);
    if (i === 180) writer.exclude(["v3", "v9"], ATTACK);
  }
  writer.end(writer.next - 1);
  for (let i = 0; i < 10; i++) writer.tick();
  return writer;
}

const witnesses = [signer("witness-a.example", 4), signer("witness-b.example", 4)];
const trust = { witnesses: witnesses.map((one) => ({ key: one.key, url: "" })), quorum: 2, authorities: [] };
const rules = { id: "plain", duration_s: 200, presence_s: 20, single_stream: false, count: "net" };
const attempt = crowd({ trust, rule_profile: rules, kind: "attempt" });
const kept = attempt.log.note(attempt.checkpoint(50)).toString();
attempt.claim();
attempt.keep(attempt.entries.length, witnesses);
const rehearsal = crowd({ kind: "rehearsal", title: { ar: "", en: ATTACK } }, 60);
const spoilt = new Writer();
spoilt.epoch(1_790_000_000);
spoilt.tick({ joins: [["a", 0]], present: [0] }, { live: 7 });
const platform = crowd({ kind: "demo" }, 30);
platform.claim();

const packs = { attempt, rehearsal, spoilt, platform };
const out = {};
for (const [name, writer] of Object.entries(packs)) {
  const path = join(folder, `${name}.zip`);
  writeFileSync(path, writer.pack());
  out[name] = { path, key: writer.log.key };
}
const bytes = attempt.pack();
bytes[bytes.length >> 1] ^= 1;
writeFileSync(join(folder, "damaged.zip"), bytes);
out.damaged = { path: join(folder, "damaged.zip"), key: attempt.log.key };
const final = JSON.parse(attempt.entries.at(-1));
out.attempt.value = final.value;
out.attempt.utc = final.instant.utc;
writeFileSync(join(folder, "kept.txt"), kept);
out.kept = join(folder, "kept.txt");
process.stdout.write(JSON.stringify(out));
