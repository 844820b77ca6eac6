// report.js: the result for machines: the same text in the page and in tests.
"use strict";

const REPORTED = [
  "outcome", "where", "stage", "origin", "key", "key_given", "compared", "size", "root", "event_id", "kind", "title",
  "window", "first_tick", "last_tick", "close", "peak", "peak_tick", "peak_last_tick", "live_peak", "live_peak_tick",
  "uniques", "excluded", "exclusions", "heartbeats", "late", "claimed_count", "platform", "platforms_unread", "gaps",
  "claim", "superseded", "notes", "levels", "kept", "tokens",
];

// What this verifier did not check, as keys of the page's words.
function notChecked(result) {
  const out = [];
  if (result.outcome !== "holds") return out;
  if (!result.key_given) out.push("unchecked_key");
  if (result.compared === 0) out.push("unchecked_history");
  const { trust } = result.definition;
  if (trust.authorities.length > 0) out.push("unchecked_tokens");
  if (trust.witnesses.length > 0) out.push("unchecked_witnesses");
  out.push("unchecked_clock", "unchecked_people", "unchecked_tallies", "unchecked_pseudonyms");
  if (result.claim) out.push("unchecked_told");
  if (result.claim?.instant) out.push("unchecked_zone");
  if (result.platform) out.push(result.claimed_count === "platform" ? "unchecked_platform_claimed" : "unchecked_platform");
  if (result.platforms_unread.length > 0) out.push("unchecked_platform_unread");
  return out;
}

// JSON of one line. Sums may be above 2^53: they are written as the numbers that they are.
function reportOf(result) {
  const few = {};
  for (const key of REPORTED) if (result[key] !== undefined) few[key] = result[key];
  if (result.figures && !result.claim) few.figures = { ...result.figures, curves: undefined, named: undefined };
  few.not_checked = notChecked(result);
  const text = JSON.stringify(few, (_, value) => (typeof value === "bigint" ? `#big#${value}` : value));
  return text.replace(/"#big#(\d+)"/g, "$1");
}
