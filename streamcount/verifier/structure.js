// structure.js: the bytes between and around the files of a pack (section 2). Every one has one possible value.
"use strict";

// What this program reads; a manifest of 64 MiB cannot name more files than this directory has.
const DIRECTORY_MOST = 64 << 20;
const READ_AHEAD = 4 << 20;
const ALL_16 = 0xffff;
const ALL_32 = 0xffffffff;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,79}(?:\/[A-Za-z0-9][A-Za-z0-9._-]{0,79}){0,8}$/;

// Reads ahead, so that thousands of small files are not thousands of reads. `source`: size, read(offset, length).
class Reader {
  constructor(source) {
    this.source = source;
    this.size = source.size;
    this.from = 0;
    this.held = new Uint8Array(0);
  }

  // Valid until the next call.
  async at(offset, length) {
    if (offset + length > this.size) unreadable("cut_off", offset);
    if (offset < this.from || offset + length > this.from + this.held.length) {
      const wanted = Math.min(Math.max(length, READ_AHEAD), this.size - offset);
      this.held = await this.source.read(offset, wanted);
      this.from = offset;
      if (this.held.length !== wanted) unreadable("cut_off", offset);
    }
    return this.held.subarray(offset - this.from, offset - this.from + length);
  }
}

// Little-endian fields: [width, value, width, value, ...].
function littleFields(...fields) {
  let length = 0;
  for (let i = 0; i < fields.length; i += 2) length += fields[i];
  const out = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < fields.length; i += 2) {
    let value = fields[i + 1];
    for (let k = 0; k < fields[i]; k++, value = Math.floor(value / 256)) out[at++] = value % 256;
  }
  return out;
}

function littleAt(bytes, at, width) {
  let value = 0;
  for (let k = width - 1; k >= 0; k--) value = value * 256 + bytes[at + k];
  return value;
}

function localHeader(file) {
  return joined(
    littleFields(4, 0x04034b50, 2, 20, 2, 0, 2, 0, 2, 0, 2, 33, 4, file.crc, 4, file.size, 4, file.size, 2, file.name.length, 2, 0),
    utf8(file.name),
  );
}

function centralHeader(file, offset) {
  const far = offset >= ALL_32;
  const v = far ? 45 : 20;
  return joined(
    littleFields(
      4, 0x02014b50, 2, v, 2, v, 2, 0, 2, 0, 2, 0, 2, 33, 4, file.crc, 4, file.size, 4, file.size,
      2, file.name.length, 2, far ? 12 : 0, 2, 0, 2, 0, 2, 0, 4, 0, 4, Math.min(offset, ALL_32),
    ),
    utf8(file.name),
    far ? littleFields(2, 1, 2, 8, 8, offset) : new Uint8Array(0),
  );
}

function ending(files, length, offset) {
  const end = littleFields(
    4, 0x06054b50, 2, 0, 2, 0, 2, Math.min(files, ALL_16), 2, Math.min(files, ALL_16),
    4, Math.min(length, ALL_32), 4, Math.min(offset, ALL_32), 2, 0,
  );
  if (files < ALL_16 && length < ALL_32 && offset < ALL_32) return end;
  return joined(
    littleFields(4, 0x06064b50, 8, 44, 2, 45, 2, 45, 4, 0, 4, 0, 8, files, 8, files, 8, length, 8, offset),
    littleFields(4, 0x07064b50, 4, 0, 8, offset + length, 4, 1),
    end,
  );
}

// What the end says: {files, length, offset} of the directory.
async function readEnding(reader) {
  const { size } = reader;
  if (!(size >= 22) || size > Number.MAX_SAFE_INTEGER) unreadable("no_pack");
  const start = (await reader.at(0, 4)).slice();
  if (!sameBytes(start, utf8("PK\x03\x04"))) unreadable("no_pack");
  const end = (await reader.at(size - 22, 22)).slice();
  let said = { files: littleAt(end, 8, 2), length: littleAt(end, 12, 4), offset: littleAt(end, 16, 4) };
  if ((said.files === ALL_16 || said.length === ALL_32 || said.offset === ALL_32) && size >= 98) {
    const far = await reader.at(size - 98, 56);
    said = { files: littleAt(far, 24, 8), length: littleAt(far, 40, 8), offset: littleAt(far, 48, 8) };
  }
  const expected = ending(said.files, said.length, said.offset);
  if (said.offset + said.length + expected.length !== size) unreadable("end", size - 22);
  if (!sameBytes(expected, await reader.at(size - expected.length, expected.length))) unreadable("end", size - 22);
  if (said.length > DIRECTORY_MOST) unreadable("too_large", `${said.length} > ${DIRECTORY_MOST}`);
  return said;
}

// The files, in order: {name, crc, size, offset of the data}. Nothing but the directory was looked at.
async function readDirectory(reader) {
  const said = await readEnding(reader);
  const bytes = (await reader.at(said.offset, said.length)).slice();
  const files = [];
  const names = new Set();
  let offset = 0;
  let at = 0;
  while (at < bytes.length) {
    if (at + 46 > bytes.length) unreadable("directory", said.offset + at);
    const length = littleAt(bytes, at + 28, 2);
    if (at + 46 + length > bytes.length) unreadable("directory", said.offset + at);
    const file = { name: "", crc: littleAt(bytes, at + 16, 4), size: littleAt(bytes, at + 20, 4), offset: 0, sha: null };
    if (file.size === ALL_32 || length > 800) unreadable("directory", said.offset + at);
    file.name = asciiOf(bytes, at + 46, at + 46 + length);
    if (!NAME.test(file.name)) unreadable("file_name", said.offset + at);
    if (names.has(file.name)) unreadable("file_twice", file.name);
    names.add(file.name);
    const expected = centralHeader(file, offset);
    if (!sameBytes(expected, bytes.subarray(at, at + expected.length))) unreadable("directory", file.name);
    at += expected.length;
    file.offset = offset + 30 + length;
    offset = file.offset + file.size;
    files.push(file);
  }
  if (files.length !== said.files || offset !== said.offset) unreadable("directory", said.offset);
  return files;
}

// Reads the whole pack once: every byte of its structure, every CRC-32; SHA-256 of each file stays in `sha`.
async function readStructure(reader, progress) {
  const files = await readDirectory(reader);
  let told = 0;
  for (const file of files) {
    const header = localHeader(file);
    if (!sameBytes(header, await reader.at(file.offset - header.length, header.length))) unreadable("header", file.name);
    const hash = new Sha256();
    let crc = -1;
    for (let at = 0; at < file.size; at += READ_AHEAD) {
      const bytes = await reader.at(file.offset + at, Math.min(READ_AHEAD, file.size - at));
      crc = crcMore(crc, bytes);
      hash.update(bytes);
      if (file.offset + at - told >= READ_AHEAD) progress("reading", (told = file.offset + at), reader.size);
    }
    if (~crc >>> 0 !== file.crc) unreadable("damaged", file.name);
    file.sha = hash.digest();
  }
  if (files.length === 0 || files[files.length - 1].name !== "manifest") unreadable("no_manifest");
  return files;
}
