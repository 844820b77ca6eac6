// refusing.js: how a pack is refused, and the two outcomes of that.
"use strict";

// `code` is a key of the page's words; `detail` says where: a name, a path, a number. Nobody's sentence.
class Refused extends Error {
  constructor(outcome, code, detail) {
    super(`${code}${detail === "" ? "" : ": " + detail}`);
    this.outcome = outcome;
    this.code = code;
    this.detail = detail;
  }
}

// The bytes are no pack, or more than this program reads.
function unreadable(code, detail = "") {
  throw new Refused("unreadable", code, String(detail));
}

// It is a pack, and something that must be is not.
function deny(code, detail = "") {
  throw new Refused("does_not_hold", code, String(detail));
}
