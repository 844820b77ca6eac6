// verdict.js: the result as people read it: the verdict, the number, what it rests on.
"use strict";

const MARKS = { holds: "✓", does_not_hold: "✗", unreadable: "?" };

function verdictShown(result, file) {
  const out = element("div", { class: "result" });
  const { outcome } = result;
  const banner = element(
    "section", { class: `verdict ${outcome}`, tabindex: "-1", id: "verdict", "aria-labelledby": "outcome" },
    element("p", { class: "mark", "aria-hidden": "true" }, MARKS[outcome]),
    element("h2", { id: "outcome" }, say(outcome)),
    paragraph(outcome === "holds" ? say("holds_more") : REFUSALS[speaking.language][result.code]),
  );
  if (outcome !== "holds" && result.detail !== "") {
    banner.append(element("p", { class: "place" }, `${say("place")}: `, technical(result.detail.slice(0, 600))));
  }
  if (outcome !== "holds") banner.append(paragraph(say(`${outcome}_more`)));
  banner.append(element("p", { class: "small" }, `${say("file")}: `, foreign(file.name)));
  out.append(banner);
  if (result.kind !== undefined && result.kind !== "attempt") {
    out.append(element("section", { class: "rehearsal" }, element("h2", {}, say("rehearsal")), paragraph(say("rehearsal_more"))));
  }
  if (outcome === "holds") {
    out.append(keyShown(result), numberShown(result), curveShown(result));
    out.append(...detailsShown(result));
    out.append(uncheckedShown(result));
  }
  out.append(machineShown(result));
  return out;
}

function keyShown(result) {
  const box = element("section", { class: result.key_given ? "key good" : "key warning" });
  box.append(paragraph(say(result.key_given ? "key_yes" : "key_no")));
  if (result.compared > 0) box.append(paragraph(say("compared_yes", { n: number(result.compared) })));
  return box;
}

function titleOf(definition) {
  const { title } = definition;
  const [first, second] = speaking.language === "ar" ? [title.ar, title.en] : [title.en, title.ar];
  return first === "" ? second : first;
}

function numberShown(result) {
  const { definition, figures, claim } = result;
  const box = element("section", { class: "number" }, element("p", { class: "title" }, foreign(titleOf(definition))));
  if (figures === null) {
    box.append(paragraph(say("claimed_none"), "label"));
    return box;
  }
  const ofPlatform = result.claimed_count === "platform";
  box.append(paragraph(say(claim ? (claim.value === null ? "claimed_none" : "claimed") : "so_far"), "label"));
  box.append(element("p", { class: "big" }, number(figures.value)));
  box.append(paragraph(say(ofPlatform ? "platform_people" : "people")));
  if (ofPlatform) box.append(paragraph(say("platform_source"), "warning"));
  const named = figures[definition.rule_profile.count];
  if (!ofPlatform && figures.value !== named.peak) {
    const seconds = definition.rule_profile.presence_s;
    box.append(paragraph(say("qualified_of", { n: number(figures.value), peak: number(named.peak), s: number(seconds) })));
  }
  const offset = eventOffset(result);
  const times = element("dl");
  const line = (label, second) =>
    times.append(element("dt", {}, label), element("dd", {}, instantShown(second, offset, definition.timezone)));
  if (ofPlatform) {
    if (figures.platform.peak !== null) line(say("platform_asked"), Math.floor(figures.platform.peak_ms / 1000));
  } else if (instantSecond(result) !== null) {
    line(say("at"), instantSecond(result));
    line(say("until"), named.peak_last + 1);
  }
  box.append(times);
  const known = claim?.instant ? knownOffset(instantSecond(result), definition.timezone) : null;
  if (known !== null && known !== offset) {
    box.append(paragraph(say("zone_other", { offset: digits(offsetText(known)) }), "warning"));
  }
  if (result.excluded > 0) box.append(paragraph(say("excluded_beside", { n: number(result.excluded) })));
  if (result.superseded > 0) box.append(paragraph(`${say("superseded")}: ${number(result.superseded)}`));
  if (claim && result.stage !== "final") box.append(paragraph(say("claim_passing"), "warning"));
  const pass = figures.profile?.pass;
  if (claim && pass !== undefined) {
    box.append(element("p", { class: pass ? "pass" : "fail" }, `${say("profile")}: ${say(pass ? "profile_pass" : "profile_fail")}`));
  }
  return box;
}

function curveShown(result) {
  const curves = result.figures?.curves;
  if (!curves || curves.live.length === 0) return section(say("curve"), paragraph(say("curve_none")));
  return section(say("curve"), drawCurve(result, curves, eventOffset(result)), legend(result));
}

function uncheckedShown(result) {
  const list = notChecked(result).map((key) => element("li", {}, say(key)));
  return element("section", { class: "unchecked" }, element("h2", {}, say("not_checked")), element("ul", {}, ...list));
}

function machineShown(result) {
  const text = element("textarea", { readonly: "", rows: "6", dir: "ltr", spellcheck: "false", "aria-label": say("machine") });
  text.value = reportOf(result);
  const copy = element("button", { type: "button" }, say("copy"));
  copy.addEventListener("click", async () => {
    text.select();
    try {
      await navigator.clipboard.writeText(text.value);
    } catch {
      document.execCommand("copy"); // a page opened as a file may have no clipboard
    }
    copy.textContent = say("copied");
  });
  return element("details", { class: "machine" }, element("summary", {}, say("machine")), text, copy);
}
