// trust.js: the sheet, roots of authorities, kept checkpoints with witnesses' cosignatures, levels (sections 2 and 12).
"use strict";

const PEM = ["-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"];

// The bytes of the certificate in a PEM file of the one spelling, or null.
function certificateOf(bytes) {
  const text = textOf(bytes);
  if (text === null || !text.startsWith(PEM[0]) || !text.endsWith(`\n${PEM[1]}`)) return null;
  const lines = text.slice(PEM[0].length, -PEM[1].length).replaceAll("\n", "");
  const written = lines.match(/.{1,64}/gs)?.map((line) => `${line}\n`) ?? [];
  return PEM[0] + written.join("") + PEM[1] === text ? unbase64(lines) : null;
}

async function checkSheet(contents, log, given) {
  const bytes = await contents.bytes("sheet.txt", SMALL_MOST);
  const text = textOf(bytes);
  if (text === null) deny("sheet_text");
  if (base64(sha256(bytes)) !== log.event.sheet_sha256) deny("sheet");
  if (given !== null && !sameBytes(given, bytes)) deny("sheet_given");
  return text;
}

async function checkRoots(contents, trust) {
  const names = trust.authorities.map((one) => `trust/${one.name}.pem`);
  for (let i = 0; i < Math.max(names.length, contents.trust.length); i++) {
    if (names[i] === undefined) deny("additional", contents.trust[i]);
    if (names[i] !== contents.trust[i]) deny(contents.byName.has(names[i]) ? "misplaced" : "missing", names[i]);
    const certificate = certificateOf(await contents.bytes(names[i], SMALL_MOST));
    if (certificate === null || base64(sha256(certificate)) !== trust.authorities[i].root_sha256) deny("root_file", names[i]);
  }
}

// Names of the witnesses whose cosignatures stand behind the log's line, and when they say that it was.
async function cosignaturesOf(note, key, witnesses, where) {
  if (!lineIsOf(note.lines[0], key)) deny("kept_lines", where);
  const found = [];
  let next = 0;
  for (const line of note.lines.slice(1)) {
    while (next < witnesses.length && !lineIsOf(line, witnesses[next])) next++;
    if (next === witnesses.length || line.payload.length !== 72) deny("kept_lines", where);
    const witness = witnesses[next++];
    const time = Number(new DataView(line.payload.buffer, line.payload.byteOffset).getBigUint64(0));
    if (time > INSTANT_MOST) deny("cosignature", `${where}: ${witness.name}`);
    const message = utf8(`cosignature/v1\ntime ${time}\n${note.text}`);
    if (!(await edVerifies(witness.key, message, line.payload.subarray(8)))) deny("cosignature", `${where}: ${witness.name}`);
    found.push({ name: witness.name, time });
  }
  return found;
}

// The checkpoints kept in the pack, ascending: [{size, witnesses: [{name, time}], tokens: [name]}].
async function checkKept(contents, key, tree, trust, progress) {
  const witnesses = trust.witnesses.map((one) => parseKey(one.key, 4));
  const names = contents.added;
  const kept = [];
  let before = 0;
  for (let at = 0; at < names.length; ) {
    progress("witnesses", at, names.length);
    const path = names[at++];
    const size = /^checkpoints\/[1-9][0-9]{0,15}$/.test(path) ? Number(path.slice(12)) : 0;
    if (size === 0) deny("additional", path);
    if (size <= before || size > tree.size) deny("misplaced", path);
    before = size;
    const checkpoint = await openCheckpoint(await contents.bytes(path, NOTE_MOST), key, path);
    if (checkpoint.size !== size || !sameBytes(checkpoint.root, tree.root(size))) deny("kept_root", path);
    const found = { size, witnesses: await cosignaturesOf(checkpoint.note, key, witnesses, path), tokens: [] };
    for (const authority of trust.authorities) {
      if (names[at] !== `time/${size}.${authority.name}.tsr`) continue;
      if (contents.file(names[at]).size > SMALL_MOST) deny("file_long", names[at]);
      found.tokens.push(authority.name);
      at++;
    }
    if (found.witnesses.length === 0 && found.tokens.length === 0) deny("kept_alone", path);
    kept.push(found);
  }
  return kept;
}

// A checkpoint or a key that was given, as section 13 takes it.
function trimmed(text) {
  return text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "");
}

// Checkpoints kept outside: each must be this log's.
async function compareGiven(texts, key, tree) {
  for (const [i, text] of texts.entries()) {
    const where = `#${i + 1}`;
    const checkpoint = await openCheckpoint(utf8(trimmed(text) + "\n"), key, where);
    if (checkpoint.size > tree.size) deny("given_longer", `${where}: ${checkpoint.size} > ${tree.size}`);
    if (!sameBytes(checkpoint.root, tree.root(checkpoint.size))) deny("given_fork", `${where}: ${checkpoint.size}`);
  }
}

// {levels, witnessed}: L1 is why we are here; L2 by the first witnessed checkpoint that covers the result, whose
// entry is `covered` (null: there is nothing to cover). Tokens are not checked, so L3 is never said.
function levelsOf(kept, trust, covered) {
  const enough = kept.filter((one) => trust.quorum > 0 && one.witnesses.length >= trust.quorum);
  const witnessed = covered === null ? undefined : enough.find((one) => one.size > covered);
  return { levels: witnessed ? ["L1", "L2"] : ["L1"], witnessed: witnessed ?? null };
}
