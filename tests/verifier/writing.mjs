// writing.mjs: packs written from the format's page alone, with counts worked out the slow and obvious way.
import { createHash, createHmac, generateKeyPairSync, sign } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { zip } from "./zipping.mjs";

export const sha = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const b64 = (bytes) => Buffer.from(bytes).toString("base64");

export function canonical(value) {
  if (typeof value === "string") {
    return JSON.stringify(value).replace(/[\u007f-\uffff]/g, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  }
  if (value === null || typeof value !== "object") return String(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  return `{${Object.keys(value).sort().map((key) => `${canonical(key)}:${canonical(value[key])}`).join(",")}}`;
}

// The tree as RFC 6962 defines it: split at the largest power of two below n.
export function merkle(leaves) {
  if (leaves.length === 0) return sha("");
  if (leaves.length === 1) return leaves[0];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha(Buffer.of(1), merkle(leaves.slice(0, k)), merkle(leaves.slice(k)));
}
const leafOf = (bytes) => sha(Buffer.of(0), bytes);

// A signer; `algorithm` 1 is a log, 4 a witness.
export function signer(name, algorithm = 1) {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(12);
  const idOf = (called) => sha(called, Buffer.of(10, algorithm), raw).subarray(0, 4);
  const keyOf = (called) =>
    `${called}+${idOf(called).toString("hex")}+${b64(Buffer.concat([Buffer.of(algorithm), raw]))}`;
  const id = idOf(name);
  const line = (payload) => `\u2014 ${name} ${b64(Buffer.concat([id, payload]))}\n`;
  return {
    name,
    key: keyOf(name),
    renamed: keyOf,
    line: (text) => line(sign(null, Buffer.from(text), privateKey)),
    cosign(text, time) {
      const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), privateKey);
      const when = Buffer.alloc(8);
      when.writeBigUInt64BE(BigInt(time));
      return line(Buffer.concat([when, signature]));
    },
    note: (text) => Buffer.from(`${text}\n${line(sign(null, Buffer.from(text), privateKey))}`),
  };
}

export function definition(changes = {}) {
  return {
    id: "lesson",
    kind: "attempt",
    title: { ar: "الدرس الكبير", en: "The big lesson" },
    organiser: { ar: "", en: "Somebody" },
    timezone: "Asia/Riyadh",
    planned_start: 1_700_000_000,
    planned_end: null,
    streams: ["main", "sign"].map((id) => ({ id, title: { ar: "", en: id }, source: "", platform: null })),
    window: 7,
    interval: 1,
    policy: { hidden_counts: true, muted_counts: false, origins: ["https://example.org"], progress: true },
    rule_profile: { id: "plain", duration_s: 10, presence_s: 3, single_stream: false, count: "net" },
    target: 5,
    claimed_count: "proven",
    trust: { witnesses: [], quorum: 0, authorities: [] },
    ...changes,
  };
}

const bitmapOf = (set, count) => {
  const out = Buffer.alloc(Math.ceil(count / 8));
  for (const v of set) out[v >> 3] |= 0x80 >> (v & 7);
  return out;
};

// ---- counting, by section 9's words

// P, X: lists of sets. `counted(v, t)`: whether viewer v's bits of tick t count.
export function provenAt(P, X, W, k, counted = () => true) {
  const out = new Set();
  for (let t1 = Math.max(0, k - W + 1); t1 <= k; t1++) {
    for (const v of P[t1]) {
      for (let t2 = k + 1; t2 <= t1 + W && t2 < P.length; t2++) {
        if (!P[t2].has(v) || !counted(v, t1) || !counted(v, t2)) continue;
        let broken = false;
        for (let t = t1 + 1; t < t2; t++) if (X[t].has(v) && !P[t].has(v)) broken = true;
        if (!broken) out.add(v);
      }
    }
  }
  return out;
}

export function liveAt(P, W, k, counted = () => true) {
  const out = new Set();
  for (let t = Math.max(0, k - W + 1); t <= k; t++) for (const v of P[t]) if (counted(v, t)) out.add(v);
  return out;
}

function inGap(gaps, kind, tick) {
  return gaps.some((gap) => gap.kind === kind && gap.first <= tick && tick <= gap.last);
}

export const pseudonym = (id) => createHmac("sha256", "event").update(String(id)).digest().subarray(0, 16);

// ---- the log

export class Writer {
  constructor(changes = {}, origin = "example.org/lesson") {
    this.log = signer(origin);
    this.definition = definition(changes);
    this.sheet = Buffer.from(`streamcount.sheet/v1\n${this.log.key}\nWhat was agreed.\nما اتُّفق عليه.\n`);
    this.entries = [];
    this.bodies = [];
    [this.P, this.X, this.ticksAt, this.gaps, this.excluded, this.excludes] = [[], [], [], [], new Map(), []];
    [this.viewers, this.streams, this.first, this.claims, this.added] = [[], [], null, [], []];
    this.add({
      type: "event",
      format: "streamcount.evidence/v1",
      origin,
      key: this.log.key,
      software: "a test",
      sheet_sha256: b64(sha(this.sheet)),
      pseudonym_key_sha256: b64(sha("a key")),
      event: this.definition,
    });
  }

  add(entry, body = Buffer.alloc(0)) {
    this.entries.push(Buffer.from(canonical(entry)));
    this.bodies.push(body);
    return entry;
  }

  epoch(first, epoch = 1) {
    this.first ??= first;
    this.add({ type: "epoch", epoch, first, offsets_us: [0], reason: "opened", run_ids: ["a"] });
  }

  get next() {
    return this.first + this.P.length;
  }

  // Who was excluded in front of entry `index`.
  without(index) {
    return (v) => (this.excluded.get(pseudonym(this.viewers[v]).toString("hex")) ?? Infinity) < index;
  }

  // `joins`: [[id, stream]], `moves`: [[viewer, stream]], `present`, `breaks`: lists. `change` spoils the entry.
  tick({ joins = [], moves = [], present = [], breaks = [] } = {}, change = {}) {
    const W = this.definition.window;
    const index = this.entries.length;
    for (const [id, stream] of joins) {
      this.viewers.push(id);
      this.streams.push(stream);
    }
    for (const [v, stream] of moves) this.streams[v] = stream;
    this.P.push(new Set(present));
    this.X.push(new Set(breaks.filter((v) => !present.includes(v))));
    this.ticksAt.push(index);
    const k = this.P.length - 1;
    const count = this.viewers.length;
    const parts = joins.map(([id, stream]) => Buffer.concat([pseudonym(id), Buffer.of(stream >> 8, stream & 255)]));
    for (const [v, stream] of moves) {
      const part = Buffer.alloc(6);
      part.writeUInt32BE(v);
      part.writeUInt16BE(stream, 4);
      parts.push(part);
    }
    parts.push(bitmapOf(this.P[k], count));
    if (this.X[k].size > 0) parts.push(bitmapOf(this.X[k], count));
    const body = Buffer.concat(parts);
    const counted = (v, t) => !this.without(this.ticksAt[t])(v);
    const live = liveAt(this.P, W, k, counted);
    const streams = this.definition.streams.map((_, s) => [...live].filter((v) => this.streams[v] === s).length);
    const entry = {
      type: "tick",
      tick: this.first + k,
      epoch: 1,
      viewers: count,
      new: joins.length,
      moves: moves.length,
      present: this.P[k].size,
      breaks: this.X[k].size,
      live: live.size,
      proven: k >= W ? provenAt(this.P, this.X, W, k - W, counted).size : 0,
      heartbeats: this.P[k].size + 1,
      muted: 0,
      hidden: 1,
      late: 2,
      body_bytes: body.length,
      streams: streams.length <= 64 ? streams : [],
      body_root: "",
      ...change,
    };
    this.commit(entry, body);
    this.add(entry, body);
    return entry;
  }

  // Makes an entry commit to another body.
  commit(entry, body) {
    const blocks = [];
    for (let at = 0; at < body.length; at += 64) blocks.push(leafOf(body.subarray(at, at + 64)));
    entry.body_root = b64(merkle(blocks));
  }

  // What a platform answered.
  sample({ answer = Buffer.from("{}"), ...rest }) {
    const failed = rest.failure !== undefined;
    const bytes = failed ? Buffer.alloc(0) : answer;
    this.add({
      type: "platform",
      platform: "youtube",
      status: 200,
      failure: "none",
      answer: b64(bytes),
      answer_bytes: bytes.length,
      answer_sha256: b64(sha(bytes)),
      ...rest,
    });
  }

  gap(kind, first, last) {
    this.gaps.push({ kind, first, last });
    this.add({ type: "gap", kind, reason: "why", first, last });
  }

  exclude(ids, reason) {
    const pseudonyms = ids.map((id) => pseudonym(id).toString("hex"));
    for (const one of pseudonyms) this.excluded.set(one, this.entries.length);
    this.excludes.push({ index: this.entries.length, reason, pseudonyms });
    this.add({ type: "exclude", pseudonyms, reason });
  }

  note(text) {
    this.add({ type: "note", text });
  }

  end(close) {
    this.close = close;
    this.add({ type: "end", close });
  }

  figures(without) {
    const W = this.definition.window;
    const counted = (v) => !without(v);
    const finals = Math.max(0, this.P.length - W);
    const sets = Array.from({ length: finals }, (_, k) => provenAt(this.P, this.X, W, k, counted));
    const lives = this.P.map((_, k) => liveAt(this.P, W, k, counted).size);
    const open = sets.map((set, k) => (inGap(this.gaps, "clock", this.first + k) ? -1 : set.size));
    const peak = Math.max(0, ...open);
    const at = peak > 0 ? open.indexOf(peak) : null;
    let until = at;
    while (at !== null && open[until + 1] === peak) until++;
    const livePeak = Math.max(0, ...lives);
    const watched = sets.reduce((sum, set) => sum + set.size, 0);
    const presence = this.definition.rule_profile.presence_s;
    const long = (v) => sets.filter((set) => set.has(v)).length >= presence;
    const last = this.close ?? this.next - 1;
    return {
      peak,
      peak_first: at === null ? null : this.first + at,
      peak_last: at === null ? null : this.first + until,
      qualified: at === null ? 0 : [...sets[at]].filter(long).length,
      live_peak: livePeak,
      live_peak_first: livePeak > 0 ? this.first + lives.indexOf(livePeak) : null,
      uniques: this.viewers.filter((_, v) => counted(v)).length,
      watch_s: watched,
      average_milli: finals === 0 ? 0 : Math.floor((1000 * watched) / (last - this.first + 1)),
    };
  }

  // What section 11 gives here; `platform` is worked out by whoever tests it.
  result(platform = null) {
    const index = this.entries.length;
    const { definition: d, first, close: last } = this;
    const gross = this.figures(() => false);
    const net = this.figures(this.without(index));
    const named = d.rule_profile.count === "net" ? net : gross;
    const registered = new Set(this.viewers.map((id) => pseudonym(id).toString("hex")));
    const reasons = [...new Set(this.excludes.map((one) => one.reason))];
    const within = (kind) => {
      let count = 0;
      for (let tick = first; tick <= last; tick++) if (inGap(this.gaps, kind, tick)) count++;
      return count;
    };
    const profile = {
      duration_s: last - first + 1,
      duration_ok: last - first + 1 >= d.rule_profile.duration_s,
      streams: d.streams.length,
      streams_ok: !d.rule_profile.single_stream || d.streams.length === 1,
    };
    const of = (second, hours) => new Date((second + hours * 3600) * 1000).toISOString().slice(0, 19);
    const streams = named.peak === 0 ? [] : JSON.parse(this.entries[this.ticksAt[named.peak_first - first]]).streams;
    const { streams: _, ...rest } = d;
    return {
      type: "claim",
      version: this.claims.length + 1,
      supersedes: this.claims.at(-1) ?? null,
      reason: this.claims.length === 0 ? "" : "a correction",
      size: index,
      root: b64(merkle(this.entries.map(leafOf))),
      origin: this.log.name,
      definition: rest,
      words: { ar: "كلمات", en: "words" },
      software: { version: "0.2", sha256: b64(sha("files")) },
      value: d.claimed_count === "platform" ? platform.peak : named.qualified,
      instant:
        named.peak === 0
          ? null
          : {
              utc: of(named.peak_first + 1, 0) + "Z",
              local: of(named.peak_first + 1, 3) + "+03:00",
              until_utc: of(named.peak_last + 1, 0) + "Z",
              until_local: of(named.peak_last + 1, 3) + "+03:00",
            },
      gross,
      net,
      streams,
      exclusions: reasons.map((reason) => {
        const all = this.excludes.filter((one) => one.reason === reason).flatMap((one) => one.pseudonyms);
        return { reason, viewers: all.filter((one) => registered.has(one)).length };
      }),
      first,
      last,
      loss_ticks: within("loss"),
      clock_ticks: within("clock"),
      lag_ticks: within("lag"),
      profile: { ...profile, pass: profile.duration_ok && profile.streams_ok },
      platform,
    };
  }

  claim(change = {}, platform = null) {
    const entry = { ...this.result(platform), ...change };
    this.claims.push(this.entries.length);
    return this.add(entry);
  }

  checkpoint(m = this.entries.length) {
    return `${this.log.name}\n${m}\n${b64(merkle(this.entries.slice(0, m).map(leafOf)))}\n`;
  }

  // A kept checkpoint with these witnesses' cosignatures, and files of tokens beside it.
  keep(m, witnesses, tokens = []) {
    const text = this.checkpoint(m);
    const lines = witnesses.map((one) => one.cosign(text, 1_700_000_100));
    this.added.push([`checkpoints/${m}`, Buffer.from(`${text}\n${this.log.line(text)}${lines.join("")}`)]);
    for (const [name, bytes] of tokens) this.added.push([`time/${m}.${name}.tsr`, bytes]);
  }

  // [[name, bytes]] of the pack but for the manifest. `change(files)` may return others.
  files() {
    const n = this.entries.length;
    const out = [
      ["README.txt", Buffer.from("read me\n")],
      ["log.vkey", Buffer.from(this.log.key + "\n")],
      ["sheet.txt", this.sheet],
      ...(this.roots ?? []),
      ["checkpoint", this.log.note(this.checkpoint())],
    ];
    const path = (number, width) => {
      const groups = [String(number % 1000).padStart(3, "0")];
      for (let rest = Math.floor(number / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
        groups.unshift("x" + String(rest % 1000).padStart(3, "0"));
      }
      return groups.join("/") + (width < 256 ? `.p/${width}` : "");
    };
    let hashes = this.entries.map(leafOf);
    for (let level = 0; hashes.length > 0; level++) {
      for (let at = 0; at < hashes.length; at += 256) {
        const tile = hashes.slice(at, at + 256);
        out.push([`tile/${level}/${path(at / 256, tile.length)}`, Buffer.concat(tile)]);
      }
      hashes = Array.from({ length: Math.floor(hashes.length / 256) }, (_, i) => merkle(hashes.slice(256 * i, 256 * i + 256)));
    }
    for (let at = 0; at < n; at += 256) {
      const width = Math.min(256, n - at);
      const lengthed = (bytes, size) => {
        const head = Buffer.alloc(size);
        head.writeUIntBE(bytes.length, 0, size);
        return Buffer.concat([head, bytes]);
      };
      const deflated = (body) => Buffer.concat([this.padding ?? Buffer.alloc(0), deflateRawSync(body, { level: 9 })]);
      const stored = (body) => (body.length === 0 ? body : deflated(body));
      const part = (list, each) => Buffer.concat(list.slice(at, at + width).map(each));
      out.push([`tile/entries/${path(at / 256, width)}`, part(this.entries, (one) => lengthed(one, 2))]);
      out.push([`body/${path(at / 256, width)}`, part(this.bodies, (one) => lengthed(stored(one), 4))]);
    }
    return [...out, ...this.added];
  }

  pack({ stage = this.claims.at(-1) === this.entries.length - 1 ? "final" : "interim", files = this.files() } = {}) {
    const lines = files.map(([name, bytes]) => `${sha(bytes).toString("hex")}  ${name}\n`);
    const text = `streamcount.pack/v1\n${this.log.name}\n${stage}\n${lines.join("")}`;
    return zip([...files, ["manifest", this.log.note(text)]]);
  }
}
