// ed25519.js: signatures (RFC 8032, the page's section 4): own checks of encodings, then WebCrypto, or whole numbers.
"use strict";

const ED_P = (1n << 255n) - 19n;
const ED_L = (1n << 252n) + 27742317777372353535851937790883648493n;
const ED_SMALL = new Set([
  0n,
  1n,
  ED_P - 1n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
]);

function edMod(value) {
  const rest = value % ED_P;
  return rest < 0n ? rest + ED_P : rest;
}

function edPower(value, exponent) {
  let out = 1n;
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) out = (out * value) % ED_P;
    value = (value * value) % ED_P;
  }
  return out;
}

const ED_D = edMod(-121665n * edPower(121666n, ED_P - 2n));
const ED_I = edPower(2n, (ED_P - 1n) / 4n);

function littleEndian(bytes) {
  return BigInt("0x" + hex(Uint8Array.from(bytes).reverse()));
}

// y of a point as section 4 wants it encoded, or null.
function edY(bytes) {
  const y = littleEndian(bytes) & ((1n << 255n) - 1n);
  return y < ED_P && !ED_SMALL.has(y) ? y : null;
}

// The point of 32 bytes that `edY` took, as [X, Y, Z, T], or null when it is not on the curve.
function edPoint(bytes) {
  const y = edY(bytes);
  if (y === null) return null;
  const y2 = (y * y) % ED_P;
  const u = edMod(y2 - 1n);
  const v = (ED_D * y2 + 1n) % ED_P;
  const v3 = (v * v * v) % ED_P;
  let x = (((u * v3) % ED_P) * edPower((((u * v3) % ED_P) * ((v3 * v) % ED_P)) % ED_P, (ED_P - 5n) / 8n)) % ED_P;
  const check = (v * ((x * x) % ED_P)) % ED_P;
  if (check === edMod(-u)) x = (x * ED_I) % ED_P;
  else if (check !== u) return null;
  const odd = BigInt(bytes[31] >> 7);
  if (x === 0n && odd) return null;
  if ((x & 1n) !== odd) x = ED_P - x;
  return [x, y, 1n, (x * y) % ED_P];
}

function edAdd(p, q) {
  const a = ((p[1] - p[0]) * (q[1] - q[0])) % ED_P;
  const b = ((p[1] + p[0]) * (q[1] + q[0])) % ED_P;
  const c = (((2n * p[3] * q[3]) % ED_P) * ED_D) % ED_P;
  const d = (2n * p[2] * q[2]) % ED_P;
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [(e * f) % ED_P, (g * h) % ED_P, (f * g) % ED_P, (e * h) % ED_P];
}

function edDouble(p) {
  const a = (p[0] * p[0]) % ED_P;
  const b = (p[1] * p[1]) % ED_P;
  const c = (2n * p[2] * p[2]) % ED_P;
  const h = a + b;
  const e = h - (p[0] + p[1]) ** 2n;
  const g = a - b;
  const f = c + g;
  return [(e * f) % ED_P, (g * h) % ED_P, (f * g) % ED_P, (e * h) % ED_P];
}

function edTable(point) {
  const table = [[0n, 1n, 1n, 0n], point];
  for (let i = 2; i < 16; i++) table.push(edAdd(table[i - 1], point));
  return table;
}

let edBase = null;

// s B - h A, encoded.
function edCombined(s, h, a) {
  if (edBase === null) {
    const y = new Uint8Array(32).fill(0x66);
    y[0] = 0x58;
    edBase = edTable(edPoint(y));
  }
  const other = edTable([ED_P - a[0], a[1], a[2], ED_P - a[3]]);
  let sum = [0n, 1n, 1n, 0n];
  for (let shift = 252n; shift >= 0n; shift -= 4n) {
    for (let i = 0; i < 4; i++) sum = edDouble(sum);
    sum = edAdd(edAdd(sum, edBase[Number((s >> shift) & 15n)]), other[Number((h >> shift) & 15n)]);
  }
  const inverse = edPower(edMod(sum[2]), ED_P - 2n);
  const x = edMod(sum[0] * inverse);
  const y = edMod(sum[1] * inverse);
  const digits = (y | ((x & 1n) << 255n)).toString(16).padStart(64, "0");
  return Uint8Array.from(digits.match(/../g), (two) => parseInt(two, 16)).reverse();
}

// RFC 8032's SHA-512 is WebCrypto's where there is one, and ours where there is not.
async function sha512(bytes) {
  const subtle = globalThis.crypto?.subtle;
  return subtle ? new Uint8Array(await subtle.digest("SHA-512", bytes)) : ownSha512(bytes);
}

async function edOwn(key, message, signature) {
  const a = edPoint(key);
  if (a === null) return false;
  const r = signature.subarray(0, 32);
  const h = littleEndian(await sha512(joined(r, key, message))) % ED_L;
  return sameBytes(edCombined(littleEndian(signature.subarray(32)), h, a), r);
}

let edNative; // undefined: not looked at yet

// Whether this WebCrypto knows Ed25519 and gets one true and one false signature right.
async function edHasNative() {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return false;
  try {
    const key = unbase64("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    const good = unbase64(
      "5VZDAMNgrHKQhuLMgG6CioSHfx645dl02HPgZSJJAVVfuIIVkKM7rMYeOXAc+bRr0lv18FlbviRlUUFDjnoQCw==",
    );
    const bad = good.slice();
    bad[0] ^= 1;
    const empty = new Uint8Array(0);
    return (await edAsked(key, empty, good)) && !(await edAsked(key, empty, bad));
  } catch {
    return false;
  }
}

async function edAsked(key, message, signature) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
}

async function edVerifies(key, message, signature) {
  if (signature.length !== 64 || edY(key) === null || edY(signature.subarray(0, 32)) === null) return false;
  if (littleEndian(signature.subarray(32)) >= ED_L) return false;
  edNative ??= await edHasNative();
  if (!edNative) return edOwn(key, message, signature);
  try {
    return await edAsked(key, message, signature);
  } catch {
    return false; // the key is no point of the curve
  }
}
