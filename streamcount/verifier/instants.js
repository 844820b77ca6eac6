// instants.js: Unix seconds as times of day, in the event's zone as far as it is known, and in UTC.
"use strict";

const DATES_END = Date.UTC(10000, 0, 1) / 1000;

// The offset that this browser knows of a zone at an instant, in seconds, or null.
function knownOffset(second, zone) {
  try {
    const format = new Intl.DateTimeFormat("en-US-u-ca-gregory-nu-latn", {
      timeZone: zone, hourCycle: "h23", era: "short",
      year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
    });
    const parts = Object.fromEntries(format.formatToParts(second * 1000).map((part) => [part.type, part.value]));
    const { year, month, day, hour, minute, second: rest } = parts;
    return Date.UTC(year, month - 1, day, hour, minute, rest) / 1000 - second;
  } catch {
    return null;
  }
}

function offsetText(offset) {
  const minutes = Math.abs(Math.round(offset / 60));
  const two = (value) => String(value).padStart(2, "0");
  return `${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

// 2026-11-20 18:04:05
function calendar(second, offset = 0) {
  const local = second + offset;
  if (local < 0 || local >= DATES_END) return `Unix ${second}`;
  return new Date(local * 1000).toISOString().slice(0, 19).replace("T", " ");
}

// The offset by which the event's times are shown: the claim's, or the zone's as this browser knows it, or none.
function eventOffset(result) {
  const { claim, definition } = result;
  if (claim?.instant) return offsetOf(claim.instant.local, instantSecond(result));
  const about = result.peak_tick ?? result.last_tick ?? result.first_tick ?? definition.planned_start;
  return about === null || about === undefined ? null : knownOffset(about, definition.timezone);
}

// The instant at which the claimed peak's first tick ended.
function instantSecond(result) {
  const named = result.figures[result.definition.rule_profile.count];
  return named.peak_first === null ? null : named.peak_first + 1;
}

// An instant in UTC and in the event's zone, as elements.
function instantShown(second, offset, zone) {
  const lines = element("span", { class: "instant" });
  if (offset !== null) {
    lines.append(
      element("span", {}, clockText(digits(`${calendar(second, offset)} (UTC${offsetText(offset)})`)), " ", foreign(zone), " ", say("in_zone")),
    );
  }
  lines.append(element("span", {}, clockText(digits(`${calendar(second)} UTC`))));
  return lines;
}
