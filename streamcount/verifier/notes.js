// notes.js: keys, signed notes, checkpoints (sections 4 and 5).
"use strict";

const NOTE_MOST = 1 << 20;
const MANIFEST_MOST = 64 << 20;
const WHITE = /\p{White_Space}/u;
// eslint-disable-next-line no-control-regex
const LOW = /[\u0000-\u001f]/;
// eslint-disable-next-line no-control-regex
const LOW_BUT_NEWLINE = /[\u0000-\u0009\u000b-\u001f]/;

function keyNameHolds(name) {
  return name !== "" && !WHITE.test(name) && !name.includes("+") && !LOW.test(name);
}

function keyId(name, algorithm, key) {
  return sha256(utf8(name), Uint8Array.of(0x0a, algorithm), key).slice(0, 4);
}

// A key as it is written, or null. `algorithm`: 1 for a log's, 4 for a witness's.
function parseKey(text, algorithm) {
  const first = text.indexOf("+");
  const second = first < 0 ? -1 : text.indexOf("+", first + 1);
  if (second < 0) return null;
  const name = text.slice(0, first);
  const id = text.slice(first + 1, second);
  const bytes = unbase64(text.slice(second + 1));
  if (!keyNameHolds(name) || !/^[0-9a-f]{8}$/.test(id) || bytes === null) return null;
  if (bytes.length !== 33 || bytes[0] !== algorithm) return null;
  const key = bytes.slice(1);
  const found = keyId(name, algorithm, key);
  return hex(found) === id ? { text, name, id: found, key, algorithm } : null;
}

// {text, lines: [{name, id, payload}]}, or null: this is no note.
function parseNote(bytes, most = NOTE_MOST) {
  if (bytes.length > most) return null;
  const whole = textOf(bytes);
  if (whole === null || LOW_BUT_NEWLINE.test(whole)) return null;
  const split = whole.lastIndexOf("\n\n");
  if (split < 0 || !whole.endsWith("\n")) return null;
  const rest = whole.slice(split + 2);
  if (rest === "") return null;
  const spelled = rest.slice(0, -1).split("\n");
  if (spelled.length > 100) return null;
  const lines = [];
  for (const line of spelled) {
    const parts = line.split(" ");
    if (parts.length !== 3 || parts[0] !== "\u2014" || !keyNameHolds(parts[1])) return null;
    const payload = unbase64(parts[2]);
    if (payload === null || payload.length < 5) return null;
    lines.push({ name: parts[1], id: payload.slice(0, 4), payload: payload.slice(4) });
  }
  return { text: whole.slice(0, split + 1), lines };
}

function lineIsOf(line, key) {
  return line.name === key.name && sameBytes(line.id, key.id);
}

// Whether there is a line of this key, and every one of it verifies.
async function noteIsSigned(note, key) {
  let found = false;
  const text = utf8(note.text);
  for (const line of note.lines) {
    if (!lineIsOf(line, key)) continue;
    if (!(await edVerifies(key.key, text, line.payload))) return false;
    found = true;
  }
  return found;
}

// {origin, size, root} of a checkpoint's text, or null.
function parseCheckpoint(text) {
  const parts = text.split("\n");
  if (parts.length !== 4 || parts[3] !== "") return null;
  const [origin, size, spelled] = parts;
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(size)) return null;
  const root = unbase64(spelled);
  if (root === null || root.length !== 32) return null;
  return { origin, size: Number(size), root, text };
}

// A checkpoint that this key signed, with its note, or a refusal in the name of `where`.
async function openCheckpoint(bytes, key, where) {
  const note = parseNote(bytes);
  const checkpoint = note && parseCheckpoint(note.text);
  if (!checkpoint) deny("checkpoint", where);
  if (!(await noteIsSigned(note, key))) deny("checkpoint_key", where);
  if (checkpoint.origin !== key.name) deny("checkpoint_origin", where);
  return { ...checkpoint, note };
}

// The manifest: {stage, entries: [[digest, name], ...]}.
async function openManifest(bytes, key) {
  const note = parseNote(bytes, MANIFEST_MOST);
  if (!note) deny("manifest");
  if (note.lines.length !== 1 || !(await noteIsSigned(note, key))) deny("manifest_key");
  const lines = note.text.slice(0, -1).split("\n");
  if (lines[0] !== "streamcount.pack/v1" || lines[1] !== key.name) deny("manifest_head");
  if (lines[2] !== "final" && lines[2] !== "interim") deny("manifest_head");
  return { stage: lines[2], lines: lines.slice(3) };
}
