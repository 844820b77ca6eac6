// A second verifier for evidence packs (streamcount.pack/v1). It was written from the page "The evidence format, version 1" alone, by
// somebody who has not seen the Python verifier, and shares no code with it: where the two disagree, one of them or the page is wrong.
//
//     import { verifyPack } from './verify.mjs';
//     const result = await verifyPack(bytes, { key: bytesOrText or null, checkpoints: [bytesOrText, ...] });
//
//     node verify.mjs PACK.zip [--key VKEY-or-file] [--checkpoint FILE]...      exit 0 holds, 1 does not hold, 2 cannot be read
//     node verify.mjs --batch      lines {"pack": path, "key": vkey or null, "checkpoints": [paths]} in, one line of result for each out
//
// The sections are those of the page, and what stands in quotes in comments is quoted from it. Everything down to "Command line" uses the
// web platform only (WebCrypto, typed arrays, TextDecoder, TextEncoder) and runs unchanged in a browser.

// ---- Bytes, errors ------------------------------------------------------------------------------------------------------------

// 12: "Tell two outcomes of failure apart: the file cannot be read as a pack [...], and the pack does not hold (all else)."
class Wrong extends Error {}
class Unreadable extends Error {}

const wrong = (message) => { throw new Wrong(message); };
const unreadable = (message) => { throw new Unreadable(message); };
const must = (condition, message) => { if (!condition) wrong(message); };

const MIB = 1024 * 1024;
const EM_DASH = '\u2014';

const utf8 = (text) => new TextEncoder().encode(text);
const toHex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
const toEscape = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** What the function gives, or null when it throws. */
function orNone(attempt) {
  try {
    return attempt();
  } catch {
    return null;
  }
}

/** Bytes as UTF-8 text, or null. 4: "A byte order mark is a character like others." */
const fromUtf8 = (bytes) => orNone(() => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));

const sameBytes = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));

/** "base64 is RFC 4648 section 4 with padding, in its one canonical spelling"; null for anything else. */
function fromBase64(text) {
  const binary = orNone(() => atob(text));
  return binary !== null && btoa(binary) === text ? Uint8Array.from(binary, (c) => c.charCodeAt(0)) : null;
}

// SHA-256 (FIPS 180-4), synchronous: trees have millions of tiny hashes, for which the asynchronous one of the platform is too slow.

const SHA_K = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
  0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
  0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
  0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
  0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
  0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const SHA_START = new Int32Array([0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19]);
const shaState = new Int32Array(8), shaWords = new Int32Array(64);
let shaMessage = new Uint8Array(128);

function shaCompress(block, at) {
  const w = shaWords, s = shaState;
  for (let i = 0; i < 16; i++, at += 4) w[i] = (block[at] << 24) | (block[at + 1] << 16) | (block[at + 2] << 8) | block[at + 3];
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15], y = w[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
  }
  let a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + SHA_K[i] + w[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
  }
  s[0] += a; s[1] += b; s[2] += c; s[3] += d; s[4] += e; s[5] += f; s[6] += g; s[7] += h;
}

/** SHA-256 of (prefix byte, unless it is negative) || data[from..to), at most 2^28 bytes, written to out at outAt. */
function shaInto(prefix, data, from, to, out = new Uint8Array(32), outAt = 0) {
  const length = to - from + (prefix < 0 ? 0 : 1);
  const end = 64 * Math.ceil((length + 9) / 64);
  if (shaMessage.length < end) shaMessage = new Uint8Array(2 * end);
  let at = 0;
  if (prefix >= 0) shaMessage[at++] = prefix;
  while (from < to) shaMessage[at++] = data[from++];
  shaMessage.fill(0, length, end);
  shaMessage[length] = 0x80;
  for (let i = 1, bits = length * 8; i <= 4; i++, bits >>>= 8) shaMessage[end - i] = bits;
  shaState.set(SHA_START);
  for (at = 0; at < end; at += 64) shaCompress(shaMessage, at);
  for (let i = 0; i < 32; i++) out[outAt + i] = shaState[i >> 2] >>> (24 - 8 * (i & 3));
  return out;
}

const sha256 = (bytes) => shaInto(-1, bytes, 0, bytes.length);

// ---- 2. The pack --------------------------------------------------------------------------------------------------------------

const ALL_ONES_16 = 0xffff, ALL_ONES_32 = 0xffffffff;
const LOCAL_LENGTH = 30;

// "one to nine parts joined by `/`, each of 1 to 80 letters, digits, `.`, `_` or `-`, each beginning with a letter or digit"
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,79}(?:\/[A-Za-z0-9][A-Za-z0-9._-]{0,79}){0,8}$/;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

function crc32(bytes) {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Little-endian fields, given as [value, width] pairs, then raw bytes. */
function record(fields, raw = []) {
  const bytes = [];
  for (const [value, width] of fields) for (let i = 0; i < width; i++) bytes.push(Math.floor(value / 256 ** i) % 256);
  return Uint8Array.of(...bytes, ...raw);
}

/** "flags 0 (2), method 0 (2), time 0 (2), date 33 (2), CRC-32 (4), size (4), size again (4), name length (2)" */
const shared = ({ crc, size, nameBytes }) => [[0, 2], [0, 2], [0, 2], [33, 2], [crc, 4], [size, 4], [size, 4], [nameBytes.length, 2]];

/** "local header": the only one that the file can have. */
const localHeader = (file) => record([[0x04034b50, 4], [20, 2], ...shared(file), [0, 2]], file.nameBytes);

/** "central header". "V is 20 and the extra field is empty, unless the offset of the local header is 4,294,967,295 or more". */
function centralHeader(file) {
  const far = file.offset >= ALL_ONES_32;
  const version = far ? 45 : 20;
  const extra = far ? record([[1, 2], [8, 2], [file.offset, 8]]) : [];
  const start = [[0x02014b50, 4], [version, 2], [version, 2], ...shared(file), [extra.length, 2]];
  return record([...start, [0, 2], [0, 2], [0, 2], [0, 4], [Math.min(file.offset, ALL_ONES_32), 4]], [...file.nameBytes, ...extra]);
}

/** "[zip64 end || zip64 locator] end": "each field of the end record is the smaller of its value and all ones". */
function endRecords(count, length, offset) {
  const files = Math.min(count, ALL_ONES_16);
  const place = [[Math.min(length, ALL_ONES_32), 4], [Math.min(offset, ALL_ONES_32), 4]];
  const end = record([[0x06054b50, 4], [0, 2], [0, 2], [files, 2], [files, 2], ...place, [0, 2]]);
  if (count < ALL_ONES_16 && length < ALL_ONES_32 && offset < ALL_ONES_32) return end;
  const end64 = [[0x06064b50, 4], [44, 8], [45, 2], [45, 2], [0, 4], [0, 4], [count, 8], [count, 8], [length, 8], [offset, 8]];
  return record([...end64, [0x07064b50, 4], [0, 4], [offset + length, 8], [1, 4]], end);
}

/** The file whose local header is at `offset`. */
function readFile(bytes, view, offset) {
  const crc = view.getUint32(offset + 14, true), size = view.getUint32(offset + 18, true);
  const start = offset + LOCAL_LENGTH + view.getUint16(offset + 26, true);
  if (size === ALL_ONES_32) unreadable('a file of the ZIP is too large');
  if (start + size > bytes.length) unreadable('the ZIP file ends within a file');
  const nameBytes = bytes.subarray(offset + LOCAL_LENGTH, start);
  const name = fromUtf8(nameBytes);
  if (name === null || !NAME.test(name)) unreadable('a file of the ZIP has a name that is not allowed');
  const file = { name, nameBytes, crc, size, offset, data: bytes.subarray(start, start + size) };
  if (!sameBytes(localHeader(file), bytes.subarray(offset, start))) unreadable(`the local header of ${name} is not as it must be`);
  if (crc32(file.data) !== crc) unreadable(`the CRC-32 of ${name} does not match`);
  return file;
}

/** "A reader must refuse a file with any other byte in its structure, or with a CRC-32 that does not match." The files by name. */
function readStructure(bytes) {
  const view = viewOf(bytes);
  const files = new Map();
  let at = 0;
  while (bytes.length - at >= LOCAL_LENGTH && view.getUint32(at, true) === 0x04034b50) {
    const file = readFile(bytes, view, at);
    if (files.has(file.name)) unreadable(`the ZIP has two files named ${file.name}`);
    files.set(file.name, file);
    at += LOCAL_LENGTH + file.nameBytes.length + file.size;
  }
  if (files.size === 0) unreadable('this is not a pack: it does not begin with the local header of a ZIP file');
  const centralAt = at;
  const expect = (expected, what) => {
    if (!sameBytes(bytes.subarray(at, at + expected.length), expected)) unreadable(`${what} of the ZIP is not as it must be`);
    at += expected.length;
  };
  for (const file of files.values()) expect(centralHeader(file), `the central header of ${file.name}`);
  expect(endRecords(files.size, at - centralAt, centralAt), 'the end');
  if (at !== bytes.length) unreadable('the ZIP has bytes behind its end');
  if ([...files.keys()].pop() !== 'manifest') unreadable('this is not a pack: its last file is not the manifest'); // 12
  return files;
}

/** The names of the files of a pack, "n being the size of the log, in this order". */
function* namesFor(size, authorities) {
  yield* ['README.txt', 'log.vkey', 'sheet.txt', ...authorities.map(({ name }) => `trust/${name}.pem`), 'checkpoint'];
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / 256)) {
    for (const { path } of tilesOf(count)) yield `tile/${level}/${path}`;
  }
  for (const { path } of tilesOf(size)) yield* [`tile/entries/${path}`, `body/${path}`];
  yield 'manifest';
}

/** "These and no others must be there, in this order." */
function needFilesFor(files, size, authorities) {
  const names = [...files.keys()];
  const expected = [...namesFor(size, authorities)]; // ends with the manifest, as the names do: nothing can be behind it
  const at = expected.findIndex((name, i) => name !== names[i]);
  must(at < 0, `where ${expected[at]} must be is ${names[at] ?? 'nothing'}: a file is missing, too many or out of place`);
}

// ---- 3. The manifest ----------------------------------------------------------------------------------------------------------

/** The stage. "A signed note (section 4) of at most 64 MiB, signed by the log's key, with that one signature line and no other." */
async function openManifest(files, key) {
  const note = files.get('manifest').data;
  must(note.length <= 64 * MIB, 'the manifest has more than 64 MiB');
  const { text, signatures } = await openNote(note, key, 'the manifest');
  must(signatures === 1, 'the manifest has more than one signature line');
  const lines = text.split('\n').slice(0, -1);
  must(lines[0] === 'streamcount.pack/v1', 'the manifest does not begin with streamcount.pack/v1');
  must(lines[1] === key.name, 'the manifest names another origin than the key does');
  must(lines[2] === 'final' || lines[2] === 'interim', 'the stage in the manifest is neither final nor interim');
  const listed = [...files.values()].slice(0, -1);
  must(lines.length === 3 + listed.length, 'the manifest does not have one line for each file');
  for (let i = 0; i < listed.length; i++) {
    const { name, data } = listed[i];
    const digest = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', data)));
    must(lines[3 + i] === `${digest}  ${name}`, `the manifest does not list ${name} with its hash in its place`);
  }
  return lines[2];
}

// ---- 4. Keys and signed notes -------------------------------------------------------------------------------------------------

/** "not empty, no white space (Unicode property White_Space), no `+`, no character below U+0020" */
const isKeyName = (name) => name !== '' && !/[\p{White_Space}\0-\x1f+]/u.test(name);

/** "<name>+<id, 8 lower-case hexadecimal digits>+<base64(01 || public key)>", "split at the first two"; null for anything else.
 * "A witness's key is written like a verifier key, with 04 in the place of 01". */
function parseKey(text, type = 1) {
  if (text.length > MIB) return null; // no note could have its name in it
  const [name, id = ''] = text.split('+', 2);
  const typed = fromBase64(text.slice(name.length + id.length + 2));
  if (!isKeyName(name) || typed?.length !== 33 || typed[0] !== type) return null;
  const idBytes = sha256(Uint8Array.from([...utf8(`${name}\n`), ...typed])).subarray(0, 4);
  return toHex(idBytes) === id ? { text, name, id: idBytes, publicKey: typed.subarray(1) } : null;
}

/** 12: "Of a key or checkpoint given, spaces, tabs, CR and LF before and behind it are dropped". Bytes or text as trimmed text; null when
 * it is neither, or is not UTF-8. */
function givenText(given) {
  const text = given instanceof Uint8Array ? fromUtf8(given) : given;
  if (typeof text !== 'string' || /\p{Cs}/u.test(text)) return null;
  const isSpace = (at) => ' \t\r\n'.includes(text[at]);
  let from = 0, to = text.length;
  while (from < to && isSpace(from)) from++;
  while (from < to && isSpace(to - 1)) to--;
  return text.slice(from, to);
}

const FIELD_PRIME = 2n ** 255n - 19n;
const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const SMALL_ORDER = [0n, 1n, FIELD_PRIME - 1n, 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n]; // their y

const littleEndian = (bytes) => BigInt(`0x${toHex(bytes.slice().reverse())}`);

/** "encoded as RFC 8032 section 5.1.2 does (y below 2^255 - 19) and not [...] of small order"; the topmost bit is the sign of x. */
function isSoundPoint(bytes) {
  const y = BigInt.asUintN(255, littleEndian(bytes));
  return y < FIELD_PRIME && !SMALL_ORDER.includes(y);
}

/** "as RFC 8032 section 5.1.7 says, with S below the group order, without the cofactor". For this there is WebCrypto; what platforms
 * differ on is refused before it is called. */
async function ed25519Verifies(publicKey, signature, message) {
  if (signature.length !== 64 || !isSoundPoint(publicKey) || !isSoundPoint(signature.subarray(0, 32))) return false;
  if (littleEndian(signature.subarray(32)) >= GROUP_ORDER) return false;
  try {
    const key = await crypto.subtle.importKey('raw', publicKey, { name: 'Ed25519' }, false, ['verify']);
    return await crypto.subtle.verify({ name: 'Ed25519' }, key, signature, message);
  } catch (error) {
    if (!(error instanceof DOMException) || error.name === 'NotSupportedError') throw error; // says nothing about the signature
    return false;
  }
}

/** "<U+2014> <space> <name> <space> <base64(id || signature)>", "with at least one byte behind the id"; null for anything else. */
function parseSignatureLine(line) {
  const parts = line.split(' ');
  if (parts.length !== 3 || parts[0] !== EM_DASH || !isKeyName(parts[1])) return null;
  const blob = fromBase64(parts[2]);
  return blob && blob.length > 4 ? { name: parts[1], blob } : null;
}

/** The text of a note that the key signed, and how many signature lines it has. "The note is split at the last occurrence of `0A 0A`;
 * the text ends with the first of the two." "There is at least one signature line, at most 100". */
async function openNote(bytes, key, what) {
  const note = fromUtf8(bytes) ?? wrong(`${what} is not UTF-8`);
  must(!/[\0-\x09\x0b-\x1f]/.test(note), `${what} has a control character in it`);
  const blank = note.lastIndexOf('\n\n');
  must(blank >= 0, `${what} is not a signed note: it has no blank line`);
  const text = note.slice(0, blank + 1);
  const lines = note.slice(blank + 2).split('\n');
  must(lines.pop() === '', `${what} does not end in a newline`);
  must(lines.length >= 1 && lines.length <= 100, `${what} has no signature or more than 100`);
  const signatures = lines.map((line) => parseSignatureLine(line) ?? wrong(`${what} has a malformed signature line`));
  const ours = signatures.filter(({ name, blob }) => name === key.name && sameBytes(blob.subarray(0, 4), key.id));
  must(ours.length > 0, `${what} is not signed by the key ${key.text}`);
  for (const { blob } of ours) {
    must(await ed25519Verifies(key.publicKey, blob.subarray(4), utf8(text)), `the signature of ${what} is not valid`);
  }
  return { text, signatures: lines.length };
}

// ---- 5. The checkpoint and the tree -------------------------------------------------------------------------------------------

/** {size, root} of a checkpoint that the key signed. "The text of the note is exactly three lines". */
async function openCheckpoint(bytes, key, what) {
  must(bytes.length <= MIB, `${what} has more than 1 MiB`);
  const lines = (await openNote(bytes, key, what)).text.split('\n');
  must(lines.length === 4 && lines[3] === '', `${what} does not have exactly three lines`);
  must(lines[0] === key.name, `${what} is of another log: its origin is not the name of the key`);
  must(/^(?:0|[1-9][0-9]{0,15})$/.test(lines[1]), `the size in ${what} is not a decimal number of 1 to 16 digits`);
  const root = fromBase64(lines[2]);
  must(root && root.length === 32, `the root in ${what} is not the base64 of 32 bytes`);
  return { size: Number(lines[1]), root };
}

/** The root over the first `count` hashes of 32 bytes that stand one behind the other. Pairing neighbours level by level, a hash without
 * a neighbour going up as it is, splits "at the largest power of two below n". */
function rootOf(all, count) {
  if (count === 0) return sha256(new Uint8Array(0));
  const hashes = all.slice(0, 32 * count);
  for (let width = count; width > 1; width = (width + 1) >> 1) {
    for (let i = 0; i + 1 < width; i += 2) shaInto(1, hashes, 32 * i, 32 * i + 64, hashes, 16 * i);
    if (width & 1) hashes.copyWithin(16 * (width - 1), 32 * (width - 1), 32 * width);
  }
  return hashes.slice(0, 32);
}

function leafHashes(entries) {
  const leaves = new Uint8Array(32 * entries.length);
  entries.forEach((entry, i) => shaInto(0, entry, 0, entry.length, leaves, 32 * i));
  return leaves;
}

/** "is consistent with this one when the root over the first m entries is the root in it (m may be 0)". "A kept checkpoint that this key
 * did not sign, or that is of another origin, or with m > n, cannot be compared": the pack does not hold then. */
async function compareKept(kept, what, key, leaves) {
  const text = givenText(kept) ?? wrong(`${what} cannot be compared: it is not UTF-8`);
  const { size, root } = await openCheckpoint(utf8(`${text}\n`), key, 'it').catch((error) => {
    if (error instanceof Wrong) error.message = `${what} cannot be compared: ${error.message}`;
    throw error;
  });
  const have = leaves.length / 32;
  must(size <= have, `${what} cannot be compared: it is of size ${size}, later than the pack of size ${have}`);
  must(sameBytes(rootOf(leaves, size), root),
    `${what} is not consistent with the pack: both are signed, and the first ${size} entries of the pack have another root`);
}

// ---- 6. Tiles and entry bundles -----------------------------------------------------------------------------------------------

/** "<N>[.p/<W>]": "groups of three digits, every group but the last with an `x` before it: 5 is `005`, 1234067 is `x001/x234/067`". */
function tilePath(number, width) {
  let path = String(number % 1000).padStart(3, '0');
  while ((number = Math.floor(number / 1000)) > 0) path = `x${String(number % 1000).padStart(3, '0')}/${path}`;
  return width < 256 ? `${path}.p/${width}` : path;
}

/** The tiles of a level of `count` hashes, or the bundles of as many entries. */
function* tilesOf(count) {
  for (let from = 0; from < count; from += 256) {
    const width = Math.min(256, count - from);
    yield { path: tilePath(from / 256, width), from, width };
  }
}

/** "`length (2 bytes) || entry`", and for bodies "`length (4 bytes) || stored body`": `count` of them, and nothing behind. */
function* recordsOf(bytes, count, lengthBytes, what) {
  const view = viewOf(bytes);
  let at = 0;
  for (let i = 0; i < count; i++) {
    must(bytes.length - at >= lengthBytes, `${what} is too short`);
    const start = at + lengthBytes;
    at = start + (lengthBytes === 2 ? view.getUint16(at) : view.getUint32(at));
    must(at <= bytes.length, `${what} is too short`);
    yield bytes.subarray(start, at);
  }
  must(at === bytes.length, `${what} has bytes behind its last record`);
}

/** The records of all bundles of one kind, in order. */
function readBundles(files, folder, size, lengthBytes) {
  const all = [];
  for (const { path, width } of tilesOf(size)) {
    all.push(...recordsOf(files.get(`${folder}/${path}`).data, width, lengthBytes, `${folder}/${path}`));
  }
  return all;
}

/** "at level L + 1, hash i is the root over hashes 256i to 256i + 255 of level L, and exists only when all of these do" */
function compareTiles(files, hashes, level = 0) {
  const above = [];
  for (const { path, from, width } of tilesOf(hashes.length / 32)) {
    const tile = hashes.subarray(32 * from, 32 * (from + width));
    must(sameBytes(files.get(`tile/${level}/${path}`).data, tile), `tile/${level}/${path} does not follow from the entries`);
    if (width === 256) above.push(...rootOf(tile, width));
  }
  if (above.length > 0) compareTiles(files, Uint8Array.from(above), level + 1);
}

// ---- 7. Entries: canonical JSON -----------------------------------------------------------------------------------------------

const MAX_DEPTH = 5; // 12: "No entry needs more than five levels of JSON."
const SHORT_ESCAPES = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\f': '\\f', '\b': '\\b' };

/** "every other character below U+0020 or above U+007E [...] is `\u` and four lower-case hexadecimal digits". */
function writeString(text) {
  must(!/\p{Cs}/u.test(text), 'a string has a surrogate in it "that is not one of a pair"');
  return `"${text.replace(/["\\]|[^ -~]/g, (unit) => SHORT_ESCAPES[unit] ?? toEscape(unit))}"`;
}

function writeCanonical(value, depth = 0) {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return writeString(value);
  if (typeof value === 'number') {
    must(Number.isSafeInteger(value), 'a number is not an integer of magnitude below 2^53');
    return String(value); // -0 gives "0"
  }
  must(depth < MAX_DEPTH, 'it is nested too deeply');
  if (Array.isArray(value)) return `[${value.map((item) => writeCanonical(item, depth + 1)).join(',')}]`;
  const pairs = Object.keys(value).sort().map((key) => `${writeString(key)}:${writeCanonical(value[key], depth + 1)}`);
  return `{${pairs.join(',')}}`; // sorted by UTF-16 units, which for the keys that are listed is by code points
}

/** "A reader must refuse bytes that writing the value they mean would not give back." */
function readCanonical(bytes) {
  must(bytes.every((b) => b >= 0x20 && b <= 0x7e), 'it is not canonical JSON: it has other bytes than ASCII characters');
  const text = fromUtf8(bytes);
  const value = orNone(() => JSON.parse(text));
  must(isObject(value), 'it is not a JSON object');
  must(writeCanonical(value) === text, 'it is not in the canonical spelling');
  return value;
}

// ---- 7. Entries: their keys and values ----------------------------------------------------------------------------------------

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isNatural = (value) => Number.isSafeInteger(value) && value >= 0;
const isText = (value) => typeof value === 'string';
const isBool = (value) => typeof value === 'boolean';
const isRoot = (value) => isText(value) && fromBase64(value)?.length === 32;
const isFrom = (low, high) => (value) => isNatural(value) && value >= low && value <= high;
const isTick = isFrom(0, 2 ** 40); // as which a time is agreed on, begun with or closed at
const isOneOf = (...values) => (value) => values.includes(value);
const isLike = (pattern) => (value) => isText(value) && pattern.test(value);
const orNull = (check) => (value) => value === null || check(value);
const isListOf = (check) => (value) => Array.isArray(value) && value.every(check);

/** "lengths are in code points" */
const isTextUpTo = (limit) => (value) => isText(value) && Array.from(value).length <= limit;

/** "exactly the keys listed for it, and so has every object inside": true, or says what is wrong. */
const isShape = (shape, what) => (value) => {
  must(isObject(value), `${what} is not an object`);
  for (const key of Object.keys(value)) must(Object.hasOwn(shape, key), `${what} has the key "${key}", which is not listed`);
  for (const [key, check] of Object.entries(shape)) {
    must(Object.hasOwn(value, key), `${what} lacks the key "${key}"`);
    must(check(value[key]), `the value of "${key}" in ${what} is not allowed`);
  }
  return true;
};

const isTwoTexts = isShape({ ar: isTextUpTo(200), en: isTextUpTo(200) }, 'a title or organiser');

const ORIGIN = /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?$/;

/** "`none`, or a web origin", whose port "is not 80 after `http` or 443 after `https`" */
function isOrigin(value) {
  if (value === 'none') return true;
  return isTextUpTo(300)(value) && ORIGIN.test(value) && !/^(http:.*:80|https:.*:443)$/.test(value);
}

/** "up to 50 texts, all different" */
const isOrigins = (value) => isListOf(isOrigin)(value) && value.length <= 50 && new Set(value).size === value.length;

const STREAM = {
  id: isLike(/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/),
  title: isTwoTexts, // "of which both may be empty"
  source: isTextUpTo(500),
  platform: (value) => value === null || isVideo(value),
};

const isPlatform = isLike(/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/);
const isVideo = isShape({ name: isPlatform, video: isLike(/^[A-Za-z0-9._-]{1,128}$/) }, 'the platform of a stream');

const isAddress = isTextUpTo(200);

/** "a witness's key, its name at most 100 characters" */
function isWitnessKey(value) {
  const key = isText(value) ? parseKey(value, 4) : null;
  return key !== null && isTextUpTo(100)(key.name) && isSoundPoint(key.publicKey);
}

const WITNESS = { key: isWitnessKey, url: isAddress };
const AUTHORITY = { name: isLike(/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/), root_sha256: isRoot, url: isAddress };

/** "list of up to [limit] [...], names all different" */
const isListWithNames = (shape, what, limit, nameOf) => (value) => {
  if (!isListOf(isShape(shape, what))(value) || value.length > limit) return false;
  return new Set(value.map(nameOf)).size === value.length;
};

const TRUST = {
  witnesses: (value) => isWitnesses(value) && haveOwnKeys(value),
  quorum: isNatural,
  authorities: isListWithNames(AUTHORITY, 'an authority', 4, (authority) => authority.name),
};

/** "names all different, and public keys, too" */
const isWitnesses = isListWithNames(WITNESS, 'a witness', 8, (witness) => witness.key.split('+', 1)[0]);
const haveOwnKeys = (list) => new Set(list.map((witness) => toHex(parseKey(witness.key, 4).publicKey))).size === list.length;

/** "0 if and only if there are none, at most as many as there are" */
function isTrust(value) {
  isShape(TRUST, 'the trust of the event')(value);
  return (value.quorum === 0) === (value.witnesses.length === 0) && value.quorum <= value.witnesses.length;
}

const DEFINITION = {
  id: isLike(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/),
  kind: isOneOf('attempt', 'rehearsal', 'demo'),
  title: (value) => isTwoTexts(value) && (value.ar !== '' || value.en !== ''),
  organiser: isTwoTexts,
  timezone: isLike(/^[A-Za-z0-9+_/-]{1,64}$/),
  planned_start: orNull(isTick),
  planned_end: orNull(isTick),
  streams: (value) => isListOf(isShape(STREAM, 'a stream'))(value) && value.length >= 1 && value.length <= 500,
  window: isFrom(1, 600),
  interval: isFrom(1, Infinity),
  policy: isShape({ hidden_counts: isBool, muted_counts: isBool, origins: isOrigins, progress: isBool }, 'the policy'),
  rule_profile: isOneOf('none'),
  target: orNull(isFrom(1, 1e9)),
  claimed_count: isOneOf('proven', 'platform'),
  trust: isTrust,
};

const isMs = isFrom(0, 2 ** 50);
const isCount = isFrom(0, 9_999_999_999);
const orNullNatural = (value) => value === null || isNatural(value);

const PLATFORM_CLAIM = {
  peak: orNullNatural, peak_ms: orNullNatural, peak_missing: orNullNatural, before: orNullNatural, after: orNullNatural,
  second: orNullNatural, median: orNullNatural, rounds: isNatural, numbers: isNatural, samples: isNatural, failed: isNatural, absent: isNatural,
};

const ENTRIES = {
  event: { type: isText, format: isOneOf('streamcount.evidence/v1'), origin: isText, key: isText, software: isText, event: isObject,
    pseudonym_key_sha256: isRoot, sheet_sha256: isRoot },
  epoch: {
    type: isText, epoch: isNatural, first: isTick, offsets_us: isListOf(Number.isSafeInteger), reason: isText,
    run_ids: isListOf(isText),
  },
  tick: {
    type: isText, tick: isNatural, epoch: isNatural, viewers: isFrom(0, 2 ** 32 - 1), new: isNatural, moves: isNatural, present: isNatural,
    breaks: isNatural, live: isNatural, proven: isNatural, heartbeats: isNatural, muted: isNatural, hidden: isNatural,
    late: isNatural, body_bytes: isNatural, streams: isListOf(isNatural), body_root: isRoot,
  },
  platform: {
    type: isText, platform: isPlatform, round: isNatural, asked_ms: isMs, answered_ms: isMs, status: orNull(isFrom(100, 999)),
    failure: isOneOf('none', 'timeout', 'unreachable', 'too_long', 'withheld'), answer_bytes: isNatural, answer_sha256: isRoot,
    streams: (value) => isListOf(isNatural)(value) && value.length >= 1 && value.length <= 500 && value.every((n, i) => i === 0 || value[i - 1] < n),
    answer: (value) => isText(value) && (fromBase64(value)?.length ?? Infinity) <= 40_000,
    counts: isListOf(orNull(isCount)),
  },
  gap: { type: isText, kind: isOneOf('clock', 'loss', 'lag'), reason: isText, first: isNatural, last: isNatural },
  exclude: {
    type: isText, reason: isTextUpTo(500),
    pseudonyms: (value) => isListOf(isLike(/^[0-9a-f]{32}$/))(value) && value.length >= 1 && value.length <= 1000,
  },
  end: { type: isText, close: isTick },
  claim: {
    type: isText, number: isOneOf('proven', 'platform'), platform: orNull(isShape(PLATFORM_CLAIM, 'the platform of the claim')), peak: isNatural, peak_first: orNull(isNatural), peak_last: orNull(isNatural),
    live_peak: isNatural, live_peak_first: orNull(isNatural), uniques: isNatural, first: isNatural, last: isNatural,
    loss_ticks: isNatural, clock_ticks: isNatural, lag_ticks: isNatural, excluded: isNatural,
  },
};

/** An entry: canonical, of a known type, with exactly its keys. */
function readEntry(bytes) {
  const entry = readCanonical(bytes);
  must(isText(entry.type) && Object.hasOwn(ENTRIES, entry.type), 'its type is not known');
  isShape(ENTRIES[entry.type], `the entry (${entry.type})`)(entry);
  if (entry.type === 'epoch') {
    const { offsets_us: offsets, run_ids: runs } = entry;
    must(offsets.length >= 1 && offsets.length <= 64, 'an epoch without offsets, or with more than 64');
    must(runs.length === offsets.length, 'an epoch with another number of run ids than of offsets');
  }
  if (entry.type === 'platform') needAnswer(entry);
  return entry;
}

/** "`status` is 200 and `failure` is `none`" */
const isReadable = (entry) => entry.status === 200 && entry.failure === 'none';

/** The rules of a platform entry that go beyond single values, and need nothing but the entry. */
function needAnswer(entry) {
  must(entry.asked_ms <= entry.answered_ms, 'it was answered before it was asked');
  const gone = entry.failure === 'timeout' || entry.failure === 'unreachable';
  must((entry.status === null) === gone, 'its status does not fit its failure');
  must(!gone || entry.answer_bytes === 0, 'it has an answer, and says that none came');
  const answer = fromBase64(entry.answer);
  if (entry.failure === 'too_long' || entry.failure === 'withheld') {
    must(answer.length < entry.answer_bytes, 'its answer is not shorter than what was received');
    must(entry.failure !== 'withheld' || answer.length === 0, 'its answer is withheld, and is there');
  } else {
    must(answer.length === entry.answer_bytes, 'its answer is not as long as what was received');
    must(sameBytes(sha256(answer), fromBase64(entry.answer_sha256)), 'the hash of its answer is another one');
  }
  must(entry.counts.length === entry.streams.length, 'it has not as many counts as streams');
  must(isReadable(entry) || entry.counts.every((count) => count === null), 'it has a count without an answer to read it from');
}

/** "The answer of `youtube` [...] is read thus." A count, or null, for each video. */
function readYoutube(answer, videos) {
  const text = fromUtf8(answer);
  const whole = text !== null && text.replace(/[^{[]/g, '').length <= 500 ? orNone(() => JSON.parse(text)) : null;
  const items = isObject(whole) ? whole.items : undefined;
  return videos.map((video) => {
    const found = Array.isArray(items) ? items.filter((item) => isObject(item) && item.id === video) : [];
    const details = found.length === 1 ? found[0].liveStreamingDetails : undefined;
    const count = isObject(details) ? details.concurrentViewers : undefined;
    return isText(count) && /^(?:0|[1-9][0-9]{0,9})$/.test(count) ? Number(count) : null;
  });
}

/** The rules of the event entry that go beyond single values. */
function needEvent(entry, key) {
  must(entry.origin === key.name, 'the origin of the event is not the name of the key');
  must(entry.key === key.text, 'the key of the event is not the one that signed');
  const { event } = entry;
  isShape(DEFINITION, 'the definition of the event')(event);
  must(event.window >= 2 * event.interval + 5, 'the window is below 2 x interval + 5');
  const { planned_start: start, planned_end: end } = event;
  must(start === null || end === null || end > start, 'the planned end is not later than the planned start');
  must(new Set(event.streams.map((stream) => stream.id)).size === event.streams.length, 'two streams have the same id');
  const videos = event.streams.flatMap(({ platform }) => (platform === null ? [] : [`${platform.name} ${platform.video}`]));
  must(new Set(videos).size === videos.length, 'two streams have the same platform and video');
  must(event.claimed_count !== 'platform' || videos.length > 0, 'the claim is a platform\'s, and no stream has one');
}

// ---- 8. Bodies: inflating -----------------------------------------------------------------------------------------------------

// A small inflater (RFC 1951) of our own: it never writes more than the length that is known, and it knows where the stream ends.
// "What zlib's inflate (raw, a window of 32 KiB) refuses must be refused".

const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577];
const DISTANCE_EXTRA = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

class BitReader {
  constructor(bytes) {
    Object.assign(this, { bytes, at: 0, hold: 0, count: 0 });
  }

  /** The next `count` bits (at most 16), zeros behind the end. */
  peek(count) {
    for (; this.count < count && this.at < this.bytes.length; this.count += 8) this.hold |= this.bytes[this.at++] << this.count;
    return this.hold & ((1 << count) - 1);
  }

  drop(count) {
    must(this.count >= count, 'the DEFLATE stream of its body is cut off');
    this.hold >>>= count;
    this.count -= count;
  }

  bits(count) {
    const value = this.peek(count);
    this.drop(count);
    return value;
  }

  symbol(table) {
    const hit = table[this.peek(15) & (table.length - 1)];
    must(hit !== 0, 'the DEFLATE stream of its body has a code that is not defined');
    this.drop(hit & 15);
    return hit >> 4;
  }

  /** Leaves the rest of the byte, and gives back whole bytes that were loaded. */
  toByte() {
    this.drop(this.count & 7);
    this.at -= this.count >> 3;
    this.hold = this.count = 0;
  }
}

/** A Huffman code from its code lengths, as a table of what any bits begin with: symbol x 16 + length, or 0 where no code is. To refuse is
 * "an over-subscribed code, an incomplete one other than a literal/length or distance code with no symbol or with one of one bit". */
function huffman(lengths, mayBeShort = false) {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length]++;
  const used = lengths.length - counts[0];
  counts[0] = 0;
  const next = new Uint16Array(16);
  let left = 1, longest = 0;
  for (let bits = 1; bits < 16; bits++) {
    next[bits] = (next[bits - 1] + counts[bits - 1]) << 1;
    left = 2 * left - counts[bits];
    if (counts[bits]) longest = bits;
  }
  const isShort = used === 0 || (used === 1 && counts[1] === 1);
  must(left === 0 || (mayBeShort && isShort), 'the DEFLATE stream of its body has an impossible or an incomplete code');
  const table = new Uint16Array(1 << longest);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    let reversed = 0;
    for (let bit = 0, code = next[length]++; bit < length; bit++, code >>= 1) reversed = (reversed << 1) | (code & 1);
    for (let at = reversed; at < table.length; at += 1 << length) table[at] = symbol * 16 + length;
  });
  return table;
}

const FIXED_LENGTHS = huffman(Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)));
const FIXED_DISTANCES = huffman(Array(32).fill(5)); // 30 and 31 take part in the code, and are refused when they occur

function readCodes(reader) {
  const lengthCount = reader.bits(5) + 257, distanceCount = reader.bits(5) + 1, codeCount = reader.bits(4) + 4;
  must(lengthCount <= 286 && distanceCount <= 30, 'the DEFLATE stream of its body has too many codes');
  const codeLengths = Array(19).fill(0);
  for (let i = 0; i < codeCount; i++) codeLengths[CODE_LENGTH_ORDER[i]] = reader.bits(3);
  const code = huffman(codeLengths);
  const lengths = [];
  while (lengths.length < lengthCount + distanceCount) {
    const symbol = reader.symbol(code);
    must(symbol !== 16 || lengths.length > 0, 'the DEFLATE stream of its body repeats a length before the first');
    const repeated = symbol < 16 ? symbol : symbol === 16 ? lengths.at(-1) : 0;
    const times = symbol < 16 ? 1 : symbol === 16 ? 3 + reader.bits(2) : symbol === 17 ? 3 + reader.bits(3) : 11 + reader.bits(7);
    for (let i = 0; i < times; i++) lengths.push(repeated);
  }
  must(lengths.length === lengthCount + distanceCount && lengths[256] !== 0, 'the DEFLATE stream of its body has impossible code lengths');
  return [huffman(lengths.slice(0, lengthCount), true), huffman(lengths.slice(lengthCount), true)];
}

function inflateStored(reader, out, at) {
  reader.toByte();
  const length = reader.bits(16);
  must((length ^ 0xffff) === reader.bits(16), 'the DEFLATE stream of its body has a stored block with two lengths');
  must(length <= out.length - at, 'its body is longer than it must be');
  reader.toByte();
  must(reader.bytes.length - reader.at >= length, 'the DEFLATE stream of its body is cut off');
  out.set(reader.bytes.subarray(reader.at, reader.at + length), at);
  reader.at += length;
  return at + length;
}

function inflateBlock(reader, out, at, lengthCode, distanceCode) {
  for (;;) {
    const symbol = reader.symbol(lengthCode);
    if (symbol === 256) return at;
    if (symbol < 256) {
      must(at < out.length, 'its body is longer than it must be');
      out[at++] = symbol;
      continue;
    }
    must(symbol <= 285, 'the DEFLATE stream of its body has a length that does not exist');
    const length = LENGTH_BASE[symbol - 257] + reader.bits(LENGTH_EXTRA[symbol - 257]);
    const far = reader.symbol(distanceCode);
    must(far < 30, 'the DEFLATE stream of its body has a distance that does not exist');
    const distance = DISTANCE_BASE[far] + reader.bits(DISTANCE_EXTRA[far]);
    must(distance <= at, 'the DEFLATE stream of its body reaches before its beginning');
    must(length <= out.length - at, 'its body is longer than it must be');
    for (const end = at + length; at < end; at++) out[at] = out[at - distance];
  }
}

/** "one raw DEFLATE stream (RFC 1951), whose last byte must be the last of those bytes; unused bits in that byte are ignored". 12: "Bound
 * what you allocate: [...] DEFLATE makes at most 1,032 bytes out of one." */
function inflate(bytes, length) {
  must(length <= 1032 * bytes.length, 'its stored body cannot be as long as it must be');
  const out = new Uint8Array(length), reader = new BitReader(bytes);
  let at = 0;
  for (let last = 0; !last; ) {
    last = reader.bits(1);
    const kind = reader.bits(2);
    must(kind < 3, 'the DEFLATE stream of its body has a block of an unknown kind');
    if (kind === 0) at = inflateStored(reader, out, at);
    else if (kind === 1) at = inflateBlock(reader, out, at, FIXED_LENGTHS, FIXED_DISTANCES);
    else at = inflateBlock(reader, out, at, ...readCodes(reader));
  }
  reader.toByte();
  must(reader.at === bytes.length, 'its stored body has bytes behind the DEFLATE stream');
  must(at === length, 'its body is shorter than it must be');
  return out;
}

// ---- 8. Bodies: their parts ---------------------------------------------------------------------------------------------------

/** "Bit i of a bitmap is bit 7 - (i mod 8) (bit 7 being the most significant) of byte floor(i / 8)." */
const hasBit = (bitmap, i) => ((bitmap[i >>> 3] >> (7 - (i & 7))) & 1) === 1;

/** Calls `visit` with the number of each bit that is 1. */
function eachBit(bitmap, visit) {
  for (let i = 0; i < bitmap.length; i++) {
    for (let rest = bitmap[i]; rest !== 0; ) {
      const bit = Math.clz32(rest) - 24;
      visit(8 * i + bit);
      rest &= ~(128 >> bit);
    }
  }
}

/** "Bits from `viewers` on must be 0." "The number of 1 bits is `present` and `breaks`." */
function needBitmap(bitmap, viewers, expected, what) {
  let ones = 0;
  eachBit(bitmap, (viewer) => {
    ones++;
    if (viewer >= viewers) wrong(`its ${what} bitmap has bits behind the last viewer`);
  });
  must(ones === expected, `its ${what} bitmap has ${ones} bits, the entry says ${expected}`);
}

/** "the tree hash of section 5 over the body's 64-byte blocks [...], the last block as short as it is" */
function bodyRoot(body) {
  const blocks = Array.from({ length: Math.ceil(body.length / 64) }, (_, i) => body.subarray(64 * i, 64 * i + 64));
  return rootOf(leafHashes(blocks), blocks.length);
}

/** The body of a tick, inflated to the length its entry gives it, with its root; cut into its four parts. */
function readBody(tick, stored) {
  const bitmapBytes = Math.ceil(tick.viewers / 8);
  const breakBytes = tick.breaks === 0 ? 0 : bitmapBytes;
  const length = 18 * tick.new + 6 * tick.moves + bitmapBytes + breakBytes;
  must(tick.body_bytes === length, `its body has ${length} bytes by its counts, the entry says ${tick.body_bytes}`);
  must((length === 0) === (stored.length === 0), `its stored body has ${stored.length} bytes, its body ${length}`);
  const body = length === 0 ? new Uint8Array(0) : inflate(stored, length);
  must(toBase64(bodyRoot(body)) === tick.body_root, 'its body_root is not the root of its body');
  let at = 0;
  const cut = (count) => body.subarray(at, (at += count));
  const parts = { registrations: cut(18 * tick.new), moves: cut(6 * tick.moves), presence: cut(bitmapBytes), breaks: cut(breakBytes) };
  needBitmap(parts.presence, tick.viewers, tick.present, 'presence');
  needBitmap(parts.breaks, tick.viewers, tick.breaks, 'breaks');
  for (let i = 0; i < breakBytes; i++) must((parts.presence[i] & parts.breaks[i]) === 0, 'a viewer is in both of its bitmaps');
  return parts;
}

// ---- 9. Counting --------------------------------------------------------------------------------------------------------------

/** A copy of a typed array with room for at least `length`. */
function withRoom(array, length) {
  if (array.length >= length) return array;
  const larger = new array.constructor(Math.max(length, 2 * array.length, 1024));
  larger.set(array);
  return larger;
}

/** Counts live and proven viewers. Ticks are numbered from 0 on, the first tick of the event being 0.
 *
 * "live(k): the number of viewers in P(k-W+1) or ... or P(k)". The presence bitmaps of the last W ticks are kept: with each tick the one
 * of W ticks before goes, and with it the viewers who were not seen since.
 *
 * "It suffices to look at consecutive presences: for a viewer present in t2, let t1 be the latest tick before with a presence; when
 * t2 - t1 <= W and there is no break between, the viewer is proven in t1, ..., t2 - 1." The steps at both ends are noted and summed up
 * when they are final. */
class Recount {
  constructor(window, streams) {
    Object.assign(this, { window, streams, viewers: 0, tick: -1, live: 0, steps: [], running: 0 });
    this.lastSeen = new Int32Array(0); // tick of the latest presence + 1; 0 is never
    this.broken = new Uint8Array(0); // a break since the latest presence
    this.streamOf = new Uint16Array(0);
    this.pseudonyms = Array.from({ length: 256 }, () => new Map()); // viewers by pseudonym, by first byte: a map has room for 16 million
    this.left = { names: new Set(), viewers: new Set() }; // excluded: pseudonyms, and those of them that are registered
    this.ring = Array(window).fill(new Uint8Array(0)); // presence bitmaps, that of tick k at k mod W
    this.liveStreams = new Uint32Array(streams);
  }

  /** "Within one tick registrations are taken first, then moves, then the bitmaps." The proven count that is final with this tick, or
   * null when there is none yet: "proven(k) is final once tick k + W is known". */
  take(parts) {
    const final = ++this.tick - this.window;
    this.steps.push(0);
    eachBit(this.ring[this.tick % this.window], (viewer) => { if (this.lastSeen[viewer] === final + 1) this.countLive(viewer, -1); });
    this.register(parts.registrations);
    this.move(parts.moves, parts.presence);
    const presence = this.ring[this.tick % this.window] = this.counted(parts.presence);
    this.present(presence);
    eachBit(this.counted(parts.breaks), (viewer) => { this.broken[viewer] = 1; });
    return final < 0 ? null : (this.running += this.steps[final]);
  }

  countLive(viewer, change) {
    this.live += change;
    this.liveStreams[this.streamOf[viewer]] += change;
  }

  /** Whether the viewer is among the live ones as counted so far. */
  isLive(viewer) {
    return this.lastSeen[viewer] > 0 && this.tick - (this.lastSeen[viewer] - 1) < this.window;
  }

  /** 8: "A pseudonym is registered once in a log." "A viewer need not be present in the tick they are registered with." */
  register(registrations) {
    const count = registrations.length / 18, view = viewOf(registrations);
    for (const list of ['lastSeen', 'broken', 'streamOf']) this[list] = withRoom(this[list], this.viewers + count);
    for (let at = 0; at < registrations.length; at += 18) {
      const known = this.pseudonyms[registrations[at]];
      const pseudonym = String.fromCharCode(...registrations.subarray(at, at + 16));
      must(!known.has(pseudonym), 'it registers a pseudonym that is registered already');
      known.set(pseudonym, this.viewers);
      if (this.left.names.has(pseudonym)) this.left.viewers.add(this.viewers);
      const stream = view.getUint16(at + 16);
      must(stream < this.streams, 'it registers a viewer on a stream that does not exist');
      this.streamOf[this.viewers++] = stream;
    }
  }

  get excluded() {
    return this.left.viewers.size;
  }

  /** Whether this pseudonym, in hexadecimal, was not excluded before. */
  exclude(digits) {
    const bytes = digits.match(/../g).map((pair) => parseInt(pair, 16));
    const pseudonym = String.fromCharCode(...bytes), viewer = this.pseudonyms[bytes[0]].get(pseudonym);
    if (this.left.names.has(pseudonym)) return false;
    this.left.names.add(pseudonym);
    if (viewer !== undefined) this.left.viewers.add(viewer);
    return true;
  }

  /** 9: "both without the viewers that an `exclude` entry in front of the entry of tick k names" */
  counted(bitmap) {
    if (this.excluded === 0 || bitmap.length === 0) return bitmap;
    const kept = bitmap.slice();
    for (const viewer of this.left.viewers) if (viewer >>> 3 < kept.length) kept[viewer >>> 3] &= ~(128 >> (viewer & 7));
    return kept;
  }

  /** 8: "ascending by viewer, no viewer twice, each present in this tick, each to another stream than the one before" */
  move(moves, presence) {
    const view = viewOf(moves);
    let before = -1;
    for (let at = 0; at < moves.length; at += 6) {
      const viewer = view.getUint32(at), stream = view.getUint16(at + 4);
      must(viewer > before, 'its moves are not in ascending order of viewers');
      must(viewer < this.viewers && hasBit(presence, viewer), 'it moves a viewer who is not present');
      must(stream < this.streams, 'it moves a viewer to a stream that does not exist');
      must(stream !== this.streamOf[viewer], 'it moves a viewer to the stream where they are already');
      const live = this.isLive(viewer);
      if (live) this.countLive(viewer, -1);
      this.streamOf[viewer] = stream;
      if (live) this.countLive(viewer, 1);
      before = viewer;
    }
  }

  present(presence) {
    const now = this.tick;
    eachBit(presence, (viewer) => {
      const seen = this.lastSeen[viewer];
      if (!this.isLive(viewer)) this.countLive(viewer, 1);
      if (seen > 0 && now - (seen - 1) <= this.window && this.broken[viewer] === 0) {
        this.steps[seen - 1]++;
        this.steps[now]--;
      }
      this.lastSeen[viewer] = now + 1;
      this.broken[viewer] = 0;
    });
  }
}

// ---- 10. The order of entries -------------------------------------------------------------------------------------------------

/** Reads a log entry by entry, with a method for each type. What it has seen so far is in its fields. */
class Log {
  constructor(key) {
    Object.assign(this, { key, definition: null, latestEpoch: null, close: null, claimed: false, viewers: 0, heartbeats: 0, late: 0 });
    Object.assign(this, { first: null, next: null }); // the first tick of the event, and the tick that comes next
    this.gaps = { clock: [], loss: [], lag: [] };
    this.exclusions = [];
    Object.assign(this, { rounds: [], answeredMs: new Map() }); // of platforms: their answers, and when the latest of each stream came
    Object.assign(this, { proven: [], live: [] }); // counts from the first tick on, of proven viewers those that are final
  }

  take(bytes, stored) {
    const entry = readEntry(bytes);
    this.needPlace(entry.type);
    must(entry.type === 'tick' || stored.length === 0, 'it is not a tick, and has a body');
    this[entry.type](entry, stored);
  }

  /** "event, [epoch, (tick | gap | platform | epoch)*, [end, (tick | gap | platform | epoch)*, [claim]]]" */
  needPlace(type) {
    must(!this.claimed, 'it comes after the claim');
    if (this.definition === null) return must(type === 'event', 'the first entry is not the event');
    must(type !== 'event', 'it is a second event');
    if (type === 'exclude') return; // "`exclude` anywhere behind `event`, but not behind `claim`"
    if (this.latestEpoch === null) return must(type === 'epoch', 'the entry before everything but event and exclude is not an epoch');
    must(type !== 'end' || this.close === null, 'it is a second end');
    must(type !== 'claim' || this.close !== null, 'it is a claim without an end');
  }

  event(entry) {
    needEvent(entry, this.key);
    this.definition = entry.event;
    this.window = entry.event.window;
    this.recount = new Recount(this.window, entry.event.streams.length);
  }

  /** "Each `epoch` number is greater than the one before, the first greater than 0." */
  epoch(entry) {
    must(entry.epoch > (this.latestEpoch ?? 0), 'its number is not above that of the epoch before, or above 0');
    if (this.latestEpoch === null) this.first = this.next = entry.first;
    must(entry.first === this.next, 'its first tick is not the one after the last');
    this.latestEpoch = entry.epoch;
  }

  /** "A `clock` gap's `first` is not below next - W: a count that was final is not unmade." */
  gap(gap) {
    must(gap.first <= gap.last, 'its first tick is after its last');
    must(gap.first >= this.first, 'it begins before the first tick');
    must(gap.kind !== 'clock' || gap.first >= this.next - this.window, 'it is a clock gap over a count that was final already');
    this.gaps[gap.kind].push(gap);
  }

  /** One request. Those of one round are kept together: the times of all of it, and one sample of each stream. */
  platform(entry) {
    const videos = entry.streams.map((number) => {
      const platform = this.definition.streams[number]?.platform ?? null;
      must(platform !== null && platform.name === entry.platform, 'it asks for a stream that does not have this platform');
      return platform.video;
    });
    const latest = this.rounds.at(-1), joins = latest?.number === entry.round;
    must(joins || entry.round > (latest?.number ?? 0), 'its round is not a later one');
    for (const number of entry.streams) {
      must(!joins || !latest.samples.has(number), 'a stream is asked for twice in its round');
      must(entry.asked_ms >= (this.answeredMs.get(number) ?? 0), 'it was asked before the answer of the time before');
    }
    must(Math.floor(entry.answered_ms / 1000) >= this.next - 600, 'it was logged long after it was answered');
    if (entry.platform === 'youtube' && isReadable(entry)) {
      const read = readYoutube(fromBase64(entry.answer), videos);
      must(read.every((count, i) => count === entry.counts[i]), 'its counts are not those in its answer');
    }
    const round = joins ? latest : { number: entry.round, asked: Infinity, answered: 0, samples: new Map() };
    if (!joins) this.rounds.push(round);
    round.asked = Math.min(round.asked, entry.asked_ms);
    round.answered = Math.max(round.answered, entry.answered_ms);
    entry.streams.forEach((number, i) => {
      round.samples.set(number, { count: entry.counts[i], failed: !isReadable(entry) });
      this.answeredMs.set(number, entry.answered_ms);
    });
  }

  /** "No pseudonym is excluded twice, by one entry or by two." */
  exclude({ pseudonyms, reason }) {
    for (const pseudonym of pseudonyms) must(this.recount.exclude(pseudonym), 'it excludes a pseudonym that is excluded already');
    this.exclusions.push({ viewers: pseudonyms.length, reason });
  }

  /** "`close` is at least the first tick of the event, and at least next - 1." */
  end(entry) {
    must(entry.close >= Math.max(this.first, this.next - 1), 'it closes before the first or the latest tick');
    this.close = entry.close;
  }

  tick(tick, stored) {
    must(tick.tick === this.next, `it is the tick ${tick.tick}, and ${this.next} comes next`);
    must(tick.epoch === this.latestEpoch, 'its epoch is not the latest');
    must(tick.viewers === this.viewers + tick.new, 'its viewers are not those of the tick before and the new');
    this.needOpen(tick);
    this.needCounts(tick, this.recount.take(readBody(tick, stored)));
    this.viewers = tick.viewers;
    this.heartbeats += tick.heartbeats;
    this.late += tick.late;
    this.next++;
  }

  /** "Once there is an `end`: in ticks above `close`, `new`, `present` and `breaks` are 0, and no tick is above `close` + W." */
  needOpen(tick) {
    if (this.close === null || tick.tick <= this.close) return;
    must(tick.tick <= this.close + this.window, 'it comes after the last tick, close + W');
    must(tick.new === 0 && tick.present === 0 && tick.breaks === 0, 'it counts viewers after the close');
  }

  /** 12: "For each tick: body, root, counts (sections 8 and 9) are those in the entry." `final`: proven(tick - W) or null. */
  needCounts(tick, final) {
    const { live, liveStreams } = this.recount;
    must(tick.live === live, `its live count is ${tick.live}, and ${live} by its bitmaps`);
    must(tick.proven === (final ?? 0), `its proven count is ${tick.proven}, and ${final ?? 0} by the bitmaps`);
    const streams = liveStreams.length <= 64 ? liveStreams : [];
    must(String(tick.streams) === String(streams), 'its counts by stream are not those of its bitmaps');
    this.live.push(live);
    if (final !== null) this.proven.push(final);
  }

  /** "`claim` comes after tick `close` + W" */
  claim(claim) {
    must(this.next - 1 === this.close + this.window, 'it is a claim before the tick close + W');
    for (const [key, value] of Object.entries(claimOf(this))) {
      if (key === 'platform') must((value === null) === (claim.platform === null), 'the claim has a platform where there is none, or none where there is');
      if (key === 'platform' && value !== null) {
        for (const [name, own] of Object.entries(value)) {
          must(claim.platform[name] === own, `the claim says "${name}" of the platform is ${claim.platform[name]}, and it is ${own}`);
        }
      } else must(claim[key] === value, `the claim says "${key}" is ${claim[key]}, and it is ${value}`);
    }
    this.claimed = true;
  }
}

// ---- 11. The claim ------------------------------------------------------------------------------------------------------------

/** Gaps joined where they overlap, in ascending order. 12: "A gap may be 2^53 ticks long: count ticks in gaps by intervals." */
function joined(gaps) {
  const intervals = [];
  for (const { first, last } of [...gaps].sort((a, b) => a.first - b.first)) {
    const open = intervals.at(-1);
    if (open && first <= open.last) open.last = Math.max(open.last, last);
    else intervals.push({ first, last });
  }
  return intervals;
}

/** "how many ticks from `first` to `last` lie in at least one gap of that kind" */
function ticksIn(gaps, first, last) {
  return joined(gaps).reduce((sum, gap) => sum + Math.max(0, Math.min(gap.last, last) - Math.max(gap.first, first) + 1), 0);
}

/** The place in a list of the highest number above 0, the lowest such place; -1 without. */
function highest(counts) {
  let at = -1;
  for (let i = 0; i < counts.length; i++) if (counts[i] > (at < 0 ? 0 : counts[at])) at = i;
  return at;
}

/** "the highest proven(k) over the ticks k of the event up to the last final one [...], those in `clock` gaps left out" */
function peakOf(log) {
  const counts = log.proven.slice();
  for (const gap of joined(log.gaps.clock)) counts.fill(-1, gap.first - log.first, gap.last - log.first + 1);
  const at = highest(counts);
  if (at < 0) return { peak: 0, peak_first: null, peak_last: null };
  let end = at;
  while (counts[end + 1] === counts[at]) end++;
  return { peak: counts[at], peak_first: log.first + at, peak_last: log.first + end };
}

/** "A round's *number* is the sum of the counts in it that are not null", or null. */
function numberOf(round) {
  const counts = [...round.samples.values()].map((sample) => sample.count).filter((count) => count !== null);
  return counts.length === 0 || round.answered - round.asked > 15_000 ? null : counts.reduce((sum, count) => sum + count, 0);
}

/** "A verifier that does not know how to read that platform's answers must say so." */
function unreadOf(log) {
  const names = log.definition.streams.flatMap(({ platform }) => (platform === null || platform.name === 'youtube' ? [] : [platform.name]));
  return [...new Set(names)].sort();
}

/** The key `platform` of the claim. */
function platformOf(log, last) {
  const streams = log.definition.streams.filter((stream) => stream.platform !== null).length;
  if (streams === 0) return null;
  const isOpen = (round) => log.first !== null && round.asked >= 1000 * log.first && round.answered < 1000 * (last + 1);
  const rounds = log.rounds.filter(isOpen), numbers = rounds.map(numberOf);
  const ordered = numbers.filter((number) => number !== null).sort((a, b) => a - b);
  const peak = ordered.at(-1) ?? null, at = peak === null ? -1 : numbers.indexOf(peak);
  const samples = rounds.flatMap((round) => [...round.samples.values()]);
  const withCount = peak === null ? 0 : [...rounds[at].samples.values()].filter((sample) => sample.count !== null).length;
  return {
    peak, peak_ms: peak === null ? null : rounds[at].asked, peak_missing: peak === null ? null : streams - withCount,
    before: peak === null ? null : numbers[at - 1] ?? null, after: peak === null ? null : numbers[at + 1] ?? null,
    second: ordered.at(-2) ?? null, median: ordered[Math.floor((ordered.length - 1) / 2)] ?? null,
    rounds: rounds.length, numbers: ordered.length, samples: samples.length, failed: samples.filter((sample) => sample.failed).length,
    absent: samples.filter((sample) => !sample.failed && sample.count === null).length,
  };
}

/** 12: "For a pack without a claim [...] with the latest tick in place of `close` when there is no `end`." */
function claimOf(log) {
  const at = highest(log.live), found = at >= 0;
  const last = log.close ?? log.next - 1;
  return {
    number: log.definition.claimed_count, platform: platformOf(log, last), ...peakOf(log), live_peak: found ? log.live[at] : 0, live_peak_first: found ? log.first + at : null,
    uniques: log.viewers - log.recount.excluded, excluded: log.recount.excluded, first: log.first, last,
    loss_ticks: ticksIn(log.gaps.loss, log.first, last), clock_ticks: ticksIn(log.gaps.clock, log.first, last),
    lag_ticks: ticksIn(log.gaps.lag, log.first, last),
  };
}

// ---- 12. Verifying, step by step ----------------------------------------------------------------------------------------------

/** "Take the key that was agreed on. `log.vkey` must be the same; without one from outside, use `log.vkey` and say so." */
function takeKey(files, given) {
  must(files.has('log.vkey'), 'the pack has no file log.vkey');
  const inPack = fromUtf8(files.get('log.vkey').data) ?? '';
  const key = parseKey(given === null ? inPack.replace(/\n$/, '') : givenText(given) ?? '');
  must(key, `${given === null ? 'log.vkey' : 'the key that was given'} is not a verifier key, or its id does not match`);
  must(inPack === `${key.text}\n`, 'log.vkey in the pack is not the key that was given and a newline');
  return key;
}

/** What a result says before anything is known. */
function emptyResult() {
  return {
    holds: false, wrong: null, unreadable: false, key: null, origin: null, stage: null, size: null, root: null, event_id: null,
    kind: null, peak: null, peak_tick: null, peak_last_tick: null, live_peak: null, live_peak_tick: null, uniques: null,
    excluded: null, exclusions: [], claimed_count: null, platform: null, platforms_unread: [],
    heartbeats: null, late: null, first_tick: null, last_tick: null, close: null, loss_ticks: null, clock_ticks: null, lag_ticks: null,
    proven: [], live: [], not_checked: [],
  };
}

/** Everything that the log says, as far as it was read. */
function report(result, log) {
  const claim = claimOf(log);
  Object.assign(result, {
    event_id: log.definition.id, kind: log.definition.kind, peak: claim.peak, peak_tick: claim.peak_first, peak_last_tick: claim.peak_last,
    live_peak: claim.live_peak, live_peak_tick: claim.live_peak_first, uniques: claim.uniques, heartbeats: log.heartbeats, late: log.late,
    excluded: claim.excluded, exclusions: log.exclusions, claimed_count: claim.number, platform: claim.platform, platforms_unread: unreadOf(log),
    first_tick: log.first, last_tick: log.live.length > 0 ? log.next - 1 : null, close: log.close,
    loss_ticks: claim.loss_ticks, clock_ticks: claim.clock_ticks, lag_ticks: claim.lag_ticks, proven: log.proven, live: log.live,
  });
}

/** "Say what was not checked. Of an event whose kind is not `attempt`, say with every result [...] that it is a rehearsal." */
function notChecked(result, given, checkpoints) {
  const list = [];
  if (result.kind === 'rehearsal' || result.kind === 'demo') list.push(`this is a rehearsal (${result.kind}), not an attempt`);
  list.push('that heartbeats came from people', 'that the clock of the operator was right');
  list.push('heartbeats, muted, hidden and late, which are told and cannot be recomputed', 'README.txt, beyond its hash');
  if (given === null) list.push('who made the pack: the key is the one inside it, and only shows that the pack is consistent with itself');
  if (checkpoints.length === 0) list.push('that this is the history shown during the event: no checkpoint kept from outside was given');
  for (const { viewers, reason } of result.exclusions) list.push(`${viewers} viewers who are excluded: ${reason}`);
  if (result.platform !== null) list.push('that the platform counts people, and that its answers were not altered on their way: only that they were logged');
  if (result.claimed_count === 'platform') list.push('the number that is claimed, which is the platform\'s: only the integrity of its samples is shown');
  for (const name of result.platforms_unread) list.push(`the counts of ${name}, which are as the writer read them: this program does not know its answers`);
  if (result.stage === 'interim') list.push('a claim: the pack is interim and has none');
  return list;
}

async function verifySteps(bytes, given, checkpoints, result) {
  const files = readStructure(bytes); // 1
  const key = takeKey(files, given); // 2
  Object.assign(result, { key: key.text, origin: key.name });
  result.stage = await openManifest(files, key); // 3
  must(files.has('checkpoint'), 'the pack has no file checkpoint');
  const { size, root } = await openCheckpoint(files.get('checkpoint').data, key, 'the checkpoint'); // 4
  Object.assign(result, { size, root: toHex(root) });
  must(size >= 1, 'the log is empty: a pack has at least one entry');
  must(size <= 256 * files.size, 'files are missing: the checkpoint is of more entries than there are bundles for');
  const entries = readBundles(files, 'tile/entries', size, 2);
  const first = firstEntry(entries[0]);
  needFilesFor(files, size, first.event.trust.authorities);
  const leaves = leafHashes(entries);
  must(sameBytes(rootOf(leaves, size), root), 'the root over the entries is not the one in the checkpoint');
  compareTiles(files, leaves);
  for (let i = 0; i < checkpoints.length; i++) await compareKept(checkpoints[i], `the kept checkpoint ${i + 1}`, key, leaves); // 5
  readLog(entries, readBundles(files, 'body', size, 4), key, result); // 6, 7, 8
  needPapers(files, first); // 9
}

/** The entry that tells which files there are. */
function firstEntry(bytes) {
  const entry = readEntry(bytes);
  must(entry.type === 'event', 'the first entry is not the event');
  must(isShape(DEFINITION, 'the definition of the event')(entry.event), 'the definition is not as it must be');
  return entry;
}

const PAPER_LIMIT = 65_536;

/** The DER in "its root certificate, once, in PEM"; null for anything else. */
function fromPem(bytes) {
  const text = fromUtf8(bytes) ?? '';
  const [, inner] = /^-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]+\n)-----END CERTIFICATE-----\n$/.exec(text) ?? [];
  if (inner === undefined) return null;
  const lines = inner.split('\n').slice(0, -1);
  if (lines.some((line, i) => (i < lines.length - 1 ? line.length !== 64 : line.length < 1 || line.length > 64))) return null;
  return fromBase64(lines.join(''));
}

/** "SHA-256 of it must be `sheet_sha256` of the first entry." "SHA-256 of its DER must be `root_sha256` of that authority." */
function needPapers(files, first) {
  const sheet = files.get('sheet.txt').data;
  must(sheet.length <= PAPER_LIMIT && fromUtf8(sheet) !== null, 'sheet.txt is longer than a sheet can be, or not UTF-8');
  must(sameBytes(sha256(sheet), fromBase64(first.sheet_sha256)), 'sheet.txt is not the one of the first entry');
  for (const { name, root_sha256: root } of first.event.trust.authorities) {
    const { data } = files.get(`trust/${name}.pem`);
    const der = data.length <= PAPER_LIMIT ? fromPem(data) : null;
    must(der !== null, `trust/${name}.pem is not one certificate in PEM`);
    must(sameBytes(sha256(der), fromBase64(root)), `trust/${name}.pem is not the root certificate that was agreed`);
  }
}

function readLog(entries, bodies, key, result) {
  const log = new Log(key);
  let at = 0;
  try {
    for (; at < entries.length; at++) log.take(entries[at], bodies[at]);
  } catch (error) {
    if (error instanceof Wrong) error.message = `entry ${at}: ${error.message}`;
    throw error;
  } finally {
    if (log.definition) report(result, log);
  }
  must(result.stage === (log.claimed ? 'final' : 'interim'), `the manifest says ${result.stage}, and by its last entry the log is not`);
}

/** Verifies a pack. Never throws for bad input: `wrong` names the first thing that is wrong, `unreadable` says that the bytes cannot be
 * read as a pack (or that this program could not: out of memory, or a platform without Ed25519). */
export async function verifyPack(bytes, { key = null, checkpoints = [] } = {}) {
  const result = emptyResult();
  try {
    if (!(bytes instanceof Uint8Array)) unreadable('not bytes');
    await verifySteps(bytes, key, checkpoints, result);
    result.holds = true;
  } catch (error) {
    result.wrong = error instanceof Wrong || error instanceof Unreadable ? error.message : `cannot be read: ${error}`;
    result.unreadable = !(error instanceof Wrong);
  }
  result.not_checked = notChecked(result, key, checkpoints);
  return result;
}

/** For the self test only. */
export const parts = { inflate, sha256, toBase64, fromBase64, tilesOf, crc32, readStructure, ed25519Verifies, isSoundPoint };

// ---- Command line (Node) ------------------------------------------------------------------------------------------------------

const print = (result) => console.log(JSON.stringify(result).replace(/[^ -~]/g, toEscape)); // one line for all that split lines

const USAGE = 'usage: node verify.mjs PACK.zip [--key VKEY-or-file] [--checkpoint FILE]... | node verify.mjs --batch < LINES';

/** The result for {pack, key, checkpoints}, pack and checkpoints being files. What cannot be read gives a result that says so. */
async function verifyFiles(fs, ask) {
  try {
    const { pack, key = null, checkpoints } = ask();
    const read = (path) => new Uint8Array(fs.readFileSync(path)); // up to 2 GiB
    return await verifyPack(read(pack), { key, checkpoints: (checkpoints ?? []).map(read) });
  } catch (error) {
    return { ...emptyResult(), wrong: `cannot be read: ${error.message}`, unreadable: true };
  }
}

async function batch(fs) {
  let rest = '';
  const take = async (line) => { if (line.trim() !== '') print(await verifyFiles(fs, () => JSON.parse(line))); };
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) await take(line);
  }
  await take(rest);
  return 0;
}

async function main(args) {
  const fs = await import('node:fs');
  const { parseArgs } = await import('node:util');
  const options = { key: { type: 'string' }, checkpoint: { type: 'string', multiple: true }, batch: { type: 'boolean' } };
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  if (values.batch && args.length === 1) return batch(fs);
  if (values.batch || positionals.length !== 1) throw new Error('one pack, or --batch alone');
  const key = values.key && fs.existsSync(values.key) ? new Uint8Array(fs.readFileSync(values.key)) : values.key;
  const result = await verifyFiles(fs, () => ({ pack: positionals[0], key, checkpoints: values.checkpoint }));
  print(result);
  return result.holds ? 0 : result.unreadable ? 2 : 1;
}

if (typeof process === 'object' && process.argv?.[1]) {
  const { pathToFileURL } = await import('node:url');
  const { realpathSync } = await import('node:fs');
  if (import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
    process.exitCode = await main(process.argv.slice(2)).catch((error) => {
      console.error(`${error.message}\n${USAGE}`);
      return 2;
    });
  }
}
