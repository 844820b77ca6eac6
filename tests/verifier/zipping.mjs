// zipping.mjs: the structure of a pack, as section 2 has it.
import * as zlib from "node:zlib";

// zlib.crc32 came with Node 22.
const crcTable = Array.from({ length: 256 }, (_, i) => {
  for (let k = 0; k < 8; k++) i = i & 1 ? (i >>> 1) ^ 0xedb88320 : i >>> 1;
  return i >>> 0;
});
const crcOf = zlib.crc32 ?? ((bytes) => ~bytes.reduce((c, byte) => (c >>> 8) ^ crcTable[(c ^ byte) & 255], -1) >>> 0);

const little = (...fields) => {
  const parts = [];
  for (let i = 0; i < fields.length; i += 2) {
    const part = Buffer.alloc(fields[i]);
    part.writeUIntLE(fields[i + 1], 0, fields[i]);
    parts.push(part);
  }
  return Buffer.concat(parts);
};

// `far`: whether the longer end is there when it must be.
export function zip(files, far = true) {
  const locals = [];
  const central = [];
  let offset = 0;
  for (const [name, bytes] of files) {
    const same = [4, crcOf(bytes), 4, bytes.length, 4, bytes.length, 2, name.length, 2, 0];
    const local = Buffer.concat([little(4, 0x04034b50, 2, 20, 2, 0, 2, 0, 2, 0, 2, 33, ...same), Buffer.from(name), bytes]);
    const head = little(4, 0x02014b50, 2, 20, 2, 20, 2, 0, 2, 0, 2, 0, 2, 33, ...same, 2, 0, 2, 0, 2, 0, 4, 0, 4, offset);
    central.push(Buffer.concat([head, Buffer.from(name)]));
    locals.push(local);
    offset += local.length;
  }
  const length = central.reduce((sum, one) => sum + one.length, 0);
  const count = Math.min(files.length, 0xffff);
  const end = little(4, 0x06054b50, 2, 0, 2, 0, 2, count, 2, count, 4, length, 4, offset, 2, 0);
  if (far && files.length >= 0xffff) {
    const eight = (...values) => Buffer.concat(values.map((value) => little(4, value, 4, 0)));
    const longer = [little(4, 0x06064b50, 4, 44, 4, 0, 2, 45, 2, 45, 4, 0, 4, 0), eight(files.length, files.length, length, offset)];
    central.push(...longer, little(4, 0x07064b50, 4, 0), eight(offset + length), little(4, 1));
  }
  return Buffer.concat([...locals, ...central, end]);
}
