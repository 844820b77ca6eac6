// canonical.js: JSON in the page's one spelling (section 7), read strictly and written again.
"use strict";

const DEPTH_MOST = 5;
const ESCAPES = { 34: '"', 92: "\\", 110: "\n", 114: "\r", 116: "\t", 102: "\f", 98: "\b" };
const ESCAPED = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\b": "\\b" };

class NotCanonical extends Error {}

class CanonicalReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  wrong(why) {
    throw new NotCanonical(`${why} (${this.at})`);
  }

  expect(code) {
    if (this.bytes[this.at] !== code) this.wrong("syntax");
    this.at++;
  }

  word(text, value) {
    for (let i = 0; i < text.length; i++) this.expect(text.charCodeAt(i));
    return value;
  }

  value(depth) {
    const code = this.bytes[this.at];
    if (code === 0x22) return this.string();
    if (code === 0x7b || code === 0x5b) {
      if (depth >= DEPTH_MOST) this.wrong("depth");
      return code === 0x7b ? this.object(depth + 1) : this.list(depth + 1);
    }
    if (code === 0x74) return this.word("true", true);
    if (code === 0x66) return this.word("false", false);
    if (code === 0x6e) return this.word("null", null);
    return this.integer();
  }

  integer() {
    const from = this.at;
    const negative = this.bytes[this.at] === 0x2d;
    if (negative) this.at++;
    const digits = this.at;
    let value = 0;
    while (this.bytes[this.at] >= 0x30 && this.bytes[this.at] <= 0x39) {
      if (this.at - digits >= 16) this.wrong("number");
      value = value * 10 + (this.bytes[this.at++] - 0x30);
    }
    const count = this.at - digits;
    // Sixteen digits may be above 2^53 by rounding only when they are not safe anyway.
    if (count === 0 || (this.bytes[digits] === 0x30 && (count > 1 || negative)) || !Number.isSafeInteger(value)) {
      this.at = from;
      this.wrong("number");
    }
    return negative ? -value : value;
  }

  string() {
    this.expect(0x22);
    const { bytes } = this;
    let out = "";
    let from = this.at;
    for (;;) {
      const code = bytes[this.at];
      if (code === 0x22) {
        out += asciiOf(bytes, from, this.at++);
        return out;
      }
      if (code === 0x5c) {
        out += asciiOf(bytes, from, this.at) + this.escape();
        from = this.at;
      } else if (code >= 0x20 && code <= 0x7e) {
        this.at++;
      } else {
        this.wrong("string");
      }
    }
  }

  escape() {
    const code = this.bytes[this.at + 1];
    if (ESCAPES[code] !== undefined) {
      this.at += 2;
      return ESCAPES[code];
    }
    const unit = this.unit();
    if (unit >= 0xdc00 && unit <= 0xdfff) this.wrong("surrogate");
    if (unit >= 0xd800 && unit <= 0xdbff) {
      const low = this.unit();
      if (low < 0xdc00 || low > 0xdfff) this.wrong("surrogate");
      return String.fromCharCode(unit, low);
    }
    const character = String.fromCharCode(unit);
    if (ESCAPED[character] !== undefined || (unit >= 0x20 && unit <= 0x7e)) this.wrong("escape");
    return character;
  }

  unit() {
    this.expect(0x5c);
    this.expect(0x75);
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const code = this.bytes[this.at++];
      if (code >= 0x30 && code <= 0x39) value = value * 16 + code - 0x30;
      else if (code >= 0x61 && code <= 0x66) value = value * 16 + code - 0x57;
      else this.wrong("escape");
    }
    return value;
  }

  list(depth) {
    const out = [];
    this.expect(0x5b);
    if (this.bytes[this.at] === 0x5d) {
      this.at++;
      return out;
    }
    for (;;) {
      out.push(this.value(depth));
      if (this.bytes[this.at] === 0x5d) break;
      this.expect(0x2c);
    }
    this.at++;
    return out;
  }

  // A Map-like object without a prototype, so that no key means anything to the language.
  object(depth) {
    const out = Object.create(null);
    this.expect(0x7b);
    if (this.bytes[this.at] === 0x7d) {
      this.at++;
      return out;
    }
    let before = null;
    for (;;) {
      const key = this.string();
      if (before !== null && !comesBefore(before, key)) this.wrong("order of keys");
      before = key;
      this.expect(0x3a);
      out[key] = this.value(depth);
      if (this.bytes[this.at] === 0x7d) break;
      this.expect(0x2c);
    }
    this.at++;
    return out;
  }
}

function comesBefore(a, b) {
  const x = Array.from(a, (c) => c.codePointAt(0));
  const y = Array.from(b, (c) => c.codePointAt(0));
  for (let i = 0; i < x.length && i < y.length; i++) if (x[i] !== y[i]) return x[i] < y[i];
  return x.length < y.length;
}

// The value; NotCanonical for bytes that writing it would not give back.
function readCanonical(bytes) {
  const reader = new CanonicalReader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) reader.wrong("bytes behind");
  return value;
}

function canonicalString(text) {
  let out = '"';
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (ESCAPED[text[i]] !== undefined) out += ESCAPED[text[i]];
    else if (unit >= 0x20 && unit <= 0x7e) out += text[i];
    else out += "\\u" + unit.toString(16).padStart(4, "0");
  }
  return out + '"';
}

// The one spelling of a value; used to compare values.
function canonical(value) {
  if (value === null || typeof value === "boolean" || typeof value === "number") return String(value);
  if (typeof value === "string") return canonicalString(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const keys = Object.keys(value).sort((a, b) => (comesBefore(a, b) ? -1 : 1));
  return `{${keys.map((key) => `${canonicalString(key)}:${canonical(value[key])}`).join(",")}}`;
}
