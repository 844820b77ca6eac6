// contents.js: which files a pack has, in which order (section 2), and reading them.
"use strict";

const SMALL_MOST = 65_536;
const ENTRY_MOST = 65_535;
const CACHE_MOST = 64 << 20;

class Contents {
  constructor(reader, files) {
    this.reader = reader;
    this.files = files;
    this.byName = new Map(files.map((file) => [file.name, file]));
    this.split = new Map(); // bundles that were read: number: list of entries
    this.held = 0;
  }

  file(name) {
    return this.byName.get(name) ?? deny("missing", name);
  }

  async bytes(name, most) {
    const file = this.file(name);
    if (file.size > most) deny("file_long", name);
    return (await this.reader.at(file.offset, file.size)).slice();
  }

  // Compares the names from the sixth part on: all follow from the size of the log, but for what witnesses and
  // authorities added. Leaves {trust, bundles, added}: names, bundles, names.
  arrange(n) {
    const names = this.files.map((file) => file.name);
    let at = 0;
    const expect = (name) => {
      if (names[at] === name) at++;
      else deny(this.byName.has(name) ? "misplaced" : "missing", name);
    };
    for (const name of ["README.txt", "log.vkey", "sheet.txt"]) expect(name);
    const trust = [];
    while (names[at].startsWith("trust/")) trust.push(names[at++]);
    expect("checkpoint");
    this.tiles = [];
    for (const tile of tilesOf(n)) {
      expect(tile.path);
      this.tiles.push(tile);
    }
    this.bundles = [];
    for (const bundle of bundlesOf(n)) {
      expect(bundle.entries);
      expect(bundle.bodies);
      this.bundles.push(bundle);
    }
    this.trust = trust;
    this.added = names.slice(at, -1);
  }

  // The entries of a bundle.
  async entries(bundle) {
    const found = this.split.get(bundle.number);
    if (found) return found;
    const bytes = await this.bytes(bundle.entries, bundle.width * (ENTRY_MOST + 2));
    const out = [];
    let at = 0;
    for (let i = 0; i < bundle.width; i++) {
      if (at + 2 > bytes.length) deny("entries", bundle.entries);
      const end = at + 2 + (bytes[at] << 8) + bytes[at + 1];
      if (end > bytes.length) deny("entries", bundle.entries);
      out.push(bytes.subarray(at + 2, end));
      at = end;
    }
    if (at !== bytes.length) deny("entries", bundle.entries);
    if (this.held + bytes.length > CACHE_MOST) {
      this.split.clear();
      this.held = 0;
    }
    this.split.set(bundle.number, out);
    this.held += bytes.length;
    return out;
  }

  async entry(index) {
    return (await this.entries(this.bundles[Math.floor(index / 256)]))[index % 256];
  }

  // Where in the pack each stored body of a bundle is: [[offset, length], ...].
  async bodies(bundle) {
    const file = this.file(bundle.bodies);
    const out = [];
    let at = 0;
    for (let i = 0; i < bundle.width; i++) {
      if (at + 4 > file.size) deny("bodies", bundle.bodies);
      const head = await this.reader.at(file.offset + at, 4);
      const length = head[0] * 0x1000000 + ((head[1] << 16) | (head[2] << 8) | head[3]);
      if (at + 4 + length > file.size) deny("bodies", bundle.bodies);
      out.push([file.offset + at + 4, length]);
      at += 4 + length;
    }
    if (at !== file.size) deny("bodies", bundle.bodies);
    return out;
  }

  // Valid until the next read.
  async stored(place) {
    return this.reader.at(place[0], place[1]);
  }
}
