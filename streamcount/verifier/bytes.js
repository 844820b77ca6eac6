// bytes.js: bytes as text, text as bytes, and CRC-32.
"use strict";

const UTF8_IN = new TextEncoder();
const UTF8_OUT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8(text) {
  return UTF8_IN.encode(text);
}

// The text, or null when the bytes are no UTF-8. A byte order mark stays what it is, a character.
function textOf(bytes) {
  try {
    return UTF8_OUT.decode(bytes);
  } catch {
    return null;
  }
}

function asciiOf(bytes, from, to) {
  let text = "";
  for (let at = from; at < to; at += 4096) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, Math.min(at + 4096, to)));
  }
  return text;
}

function sameBytes(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function joined(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));

function hex(bytes, from = 0, to = bytes.length) {
  let text = "";
  for (let i = from; i < to; i++) text += HEX[bytes[i]];
  return text;
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SIXES = new Int8Array(128).fill(-1);
for (let i = 0; i < 64; i++) SIXES[BASE64.charCodeAt(i)] = i;

function base64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const word = (bytes[i] << 16) | ((left > 1 ? bytes[i + 1] : 0) << 8) | (left > 2 ? bytes[i + 2] : 0);
    text += BASE64[word >> 18] + BASE64[(word >> 12) & 63];
    text += (left > 1 ? BASE64[(word >> 6) & 63] : "=") + (left > 2 ? BASE64[word & 63] : "=");
  }
  return text;
}

// The bytes, or null when this is not the one canonical spelling.
function unbase64(text) {
  if (text.length % 4 !== 0) return null;
  if (text === "") return new Uint8Array(0);
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  const out = new Uint8Array((text.length / 4) * 3 - padding);
  let word = 0;
  let bits = 0;
  let at = 0;
  for (let i = 0; i < digits; i++) {
    const code = text.charCodeAt(i);
    const six = code < 128 ? SIXES[code] : -1;
    if (six < 0) return null;
    word = ((word << 6) | six) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = (word >> bits) & 255;
    }
  }
  return (word & ((1 << bits) - 1)) === 0 ? out : null;
}

// Four tables: four bytes a step.
const CRC_TABLES = (() => {
  const tables = [0, 1, 2, 3].map(() => new Int32Array(256));
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    tables[0][i] = c;
  }
  for (let i = 0; i < 256; i++) {
    for (let t = 1; t < 4; t++) {
      const before = tables[t - 1][i];
      tables[t][i] = (before >>> 8) ^ tables[0][before & 255];
    }
  }
  return tables;
})();

// Begin with -1, end with ~result >>> 0.
function crcMore(crc, bytes) {
  const [t0, t1, t2, t3] = CRC_TABLES;
  let i = 0;
  for (const end = bytes.length - 3; i < end; i += 4) {
    crc ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    crc = t3[crc & 255] ^ t2[(crc >>> 8) & 255] ^ t1[(crc >>> 16) & 255] ^ t0[crc >>> 24];
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]) & 255];
  return crc;
}
