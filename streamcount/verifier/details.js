// details.js: all that stands below the number: figures, rules, streams, gaps, exclusions, notes, levels, the log.
"use strict";

function timeShown(tick, offset) {
  return tick === null || tick === undefined ? "–" : clockText(digits(calendar(tick, offset ?? 0)));
}

function detailsShown(result) {
  const offset = eventOffset(result);
  const parts = [levelsShown(result)];
  if (result.figures) parts.push(figuresShown(result, offset), profileShown(result), streamsShown(result));
  if (result.platform) parts.push(platformShown(result, offset));
  parts.push(gapsShown(result, offset), exclusionsShown(result), notesShown(result, offset), eventShown(result, offset));
  parts.push(element("details", { class: "sheet" }, element("summary", {}, say("sheet")), element("pre", { dir: "auto" }, seen(result.sheet, true))));
  parts.push(logShown(result));
  return parts;
}

function levelsShown(result) {
  const two = result.levels.includes("L2");
  const lines = [say("level_L1"), say(two ? "level_L2" : "level_not_L2"), say("level_L3", { n: number(result.tokens) })];
  const list = element("ul", {}, ...lines.map((line) => element("li", {}, line)));
  const box = section(say("levels"), list, paragraph(say(result.key_given ? "level_key_given" : "level_key_inside")));
  if (two) {
    const shown = result.witnessed.witnesses.map((one) => [foreign(one.name), timeShown(one.time, 0)]);
    box.append(paragraph(`${say("cosigned")} (UTC):`), facts(shown));
  }
  return box;
}

function figuresShown(result, offset) {
  const { gross, net } = result.figures;
  const which = result.definition.rule_profile.count;
  const counts = ["peak", "qualified", "live_peak", "uniques", "watch_s"];
  const rows = counts.map((key) => [say(`figure_${key}`), number(net[key]), number(gross[key])]);
  rows.push([say("figure_average"), thousandths(net.average_milli), thousandths(gross.average_milli)]);
  for (const key of ["peak_first", "peak_last"]) {
    rows.push([say(`figure_${key}`), timeShown(net[key], offset), timeShown(gross[key], offset)]);
  }
  return section(say("figures"), headed(["", say("net"), say("gross")], rows), paragraph(say("counted_by", { which: say(which) })));
}

function profileShown(result) {
  const { profile } = result.figures;
  const { rule_profile: rules, target } = result.definition;
  const yes = (value) => say(value ? "yes" : "no");
  const rows = [
    [say("profile_name"), technical(rules.id)],
    [say("profile_duration", { n: number(rules.duration_s) }), `${number(profile.duration_s)} (${yes(profile.duration_ok)})`],
    [say("profile_streams"), `${number(profile.streams)} (${yes(profile.streams_ok)})${rules.single_stream ? `, ${say("profile_single")}` : ""}`],
    [say("profile_presence"), number(rules.presence_s)],
  ];
  if (target !== null) rows.push([say("target"), number(target)]);
  const word = element("p", { class: profile.pass ? "pass" : "fail" }, say(profile.pass ? "profile_pass" : "profile_fail"));
  return section(say("profile"), word, facts(rows), paragraph(say("profile_note"), "small"));
}

function streamsShown(result) {
  const live = result.figures.streams;
  const show = (list) =>
    headed([say("stream"), say("event_title"), say("stream_live")], list.map((stream, i) => [
      technical(stream.id),
      foreign(titleOf(stream)),
      live.length > 0 ? number(live[i]) : "–",
    ]));
  return section(say("streams"), ...shortened(result.definition.streams, 100, show));
}

function platformShown(result, offset) {
  const found = result.platform;
  const two = (a, b) => parted(number(a), number(b));
  const rows = [
    [say("platform_peak"), number(found.peak)],
    [say("platform_asked"), timeShown(found.peak_ms === null ? null : Math.floor(found.peak_ms / 1000), offset)],
    [say("platform_missing"), number(found.peak_missing)],
    [say("platform_around"), two(found.before, found.after)],
    [say("platform_second"), two(found.second, found.median)],
    [say("platform_rounds"), two(found.rounds, found.numbers)],
    [say("platform_samples"), parted(number(found.samples), number(found.failed), number(found.absent))],
  ];
  return section(say("platform"), facts(rows));
}

function gapsShown(result, offset) {
  if (result.gaps.length === 0) return section(say("gaps"), paragraph(say("none")));
  const show = (list) =>
    headed([say("gap_kind"), say("gap_from"), say("gap_seconds"), say("reason")], list.map((gap) => [
      say(`gap_${gap.kind}`), timeShown(gap.first, offset), number(gap.last - gap.first + 1), foreign(gap.reason),
    ]));
  const found = result.figures;
  const sums = ["loss", "clock", "lag"].map((kind) => `${say(`kind_${kind}`)} ${number(found[`${kind}_ticks`])}`);
  return section(say("gaps"), ...shortened(result.gaps, 100, show), paragraph(`${say("gap_sums")}: ${parted(...sums)}`));
}

function exclusionsShown(result) {
  if (result.exclusions.length === 0) return section(say("exclusions"), paragraph(say("none")));
  const reasons = new Map();
  for (const one of result.exclusions) reasons.set(one.reason, (reasons.get(one.reason) ?? 0) + one.viewers);
  const rows = Array.from(reasons, ([reason, named]) => [foreign(reason), number(named)]);
  return section(
    say("exclusions"), headed([say("reason"), say("excluded_named")], rows),
    paragraph(say("excluded_here", { n: number(result.excluded) })),
  );
}

function notesShown(result, offset) {
  if (result.note_texts.length === 0) return section(say("notes"), paragraph(say("none")));
  const line = (note) =>
    element("li", {}, note.tick === null ? "" : timeShown(note.tick, offset), " ", element("bdi", { dir: "auto", class: "note" }, seen(note.text, true)));
  const show = (list) => element("ul", {}, ...list.map(line));
  return section(say("notes"), paragraph(say("notes_more"), "small"), ...shortened(result.note_texts, 100, show));
}

function eventShown(result, offset) {
  const { definition, claim } = result;
  const both = (text) => [foreign(text.en), text.en !== "" && text.ar !== "" ? " · " : "", foreign(text.ar)];
  const rows = [
    [say("event_title"), both(definition.title)],
    [say("organiser"), both(definition.organiser)],
    [say("kind"), say(`kind_${definition.kind}`)],
    [say("zone"), technical(definition.timezone)],
    [say("stage"), say(`stage_${result.stage}`)],
    [say("first_second"), timeShown(result.first_tick, offset)],
    [say("last_second"), timeShown(result.close, offset)],
    [say("window"), number(definition.window)],
  ];
  if (claim) {
    rows.push([say("claim_version"), number(claim.version)], [say("superseded"), number(result.superseded)]);
    if (claim.reason !== "") rows.push([say("claim_reason"), foreign(claim.reason)]);
    const words = speaking.language === "ar" ? claim.words.ar : claim.words.en;
    rows.push([say("claim_words"), element("bdi", { dir: "auto", class: "note" }, seen(words, true))]);
    rows.push([say("claim_software"), [foreign(claim.software.version), " · ", technical(claim.software.sha256)]]);
  }
  return section(say("event"), facts(rows));
}

function logShown(result) {
  const rows = [
    [say("origin"), technical(result.origin)],
    [say("key"), technical(result.key)],
    [say("entries"), number(result.size)],
    [say("root"), technical(result.root)],
    [say("software"), foreign(result.software)],
    [say("heartbeats"), parted(number(result.heartbeats), number(result.late))],
  ];
  return section(say("log"), facts(rows));
}
