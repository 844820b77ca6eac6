// curve.js: the audience over time, drawn: proven and live, the peak marked, gaps shaded.
"use strict";

const CURVE = { width: 900, height: 320, left: 64, right: 16, top: 34, bottom: 46 };
const CURVE_SMALL = { width: 420, height: 300, left: 48, right: 12, top: 34, bottom: 46 };
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

// The highest value of each column.
function columnsOf(curve, ticks, columns) {
  const out = [];
  for (let c = 0; c < columns; c++) {
    const from = Math.floor((c * ticks) / columns);
    const to = Math.max(from + 1, Math.floor(((c + 1) * ticks) / columns));
    let most = -1;
    for (let k = from; k < to && k < curve.length; k++) if (curve[k] > most) most = curve[k];
    if (most >= 0) out.push([(from + to) / 2, most]);
  }
  return out;
}

function niceStep(most) {
  let step = 1;
  while (most / step > 5) step *= String(step)[0] === "2" ? 2.5 : 2;
  return step;
}

// `curves`: {proven, live}, from tick `first` on.
function drawCurve(result, curves, offset) {
  const small = innerWidth < 560;
  const { width, height, left, right, top, bottom } = small ? CURVE_SMALL : CURVE;
  const first = result.first_tick;
  const ticks = curves.live.length;
  const named = result.figures[result.definition.rule_profile.count];
  const most = Math.max(named.live_peak, 1);
  const x = (k) => left + ((width - left - right) * k) / ticks;
  const y = (value) => height - bottom - ((height - top - bottom) * value) / (most * 1.08);
  const picture = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "curve", direction: "ltr" });
  picture.setAttribute("aria-label", `${say("curve")}. ${say("curve_peak")}: ${number(named.peak)}`);
  const text = (at, down, words, anchor, style = "") =>
    drawn("text", { x: at, y: down, "text-anchor": anchor, class: style }, words);
  for (const gap of result.gaps.slice(0, 5000)) {
    const [from, to] = [Math.max(gap.first, first), Math.min(gap.last, first + ticks - 1)];
    if (from > to) continue;
    const wide = Math.max(x(to + 1 - first) - x(from - first), 1.5);
    const mark = drawn("rect", { x: x(from - first), y: top, width: wide, height: height - top - bottom, class: `gap ${gap.kind}` });
    mark.append(drawn("title", {}, say(`gap_${gap.kind}`)));
    picture.append(mark);
  }
  for (let value = 0, step = niceStep(most); value <= most * 1.05; value += step) {
    picture.append(drawn("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "grid" }));
    picture.append(text(left - 8, y(value) + 4, number(value), "end"));
  }
  const step = STEPS_S.find((one) => ticks / one <= (small ? 4 : 8)) ?? Math.ceil(ticks / (small ? 4 : 8) / 86400) * 86400;
  const shift = offset ?? 0;
  for (let at = Math.ceil((first + shift) / step) * step - shift; at < first + ticks; at += step) {
    const clock = calendar(at, shift);
    const shown = clock.startsWith("Unix") ? String(at) : clock.slice(step >= 86400 ? 5 : 11, step >= 86400 ? 10 : step < 60 ? 19 : 16);
    picture.append(drawn("line", { x1: x(at - first), x2: x(at - first), y1: height - bottom, y2: height - bottom + 5, class: "axis" }));
    picture.append(text(x(at - first), height - bottom + 19, digits(shown), "middle"));
  }
  picture.append(drawn("line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, class: "axis" }));
  const axis = text((left + width - right) / 2, height - 8, say("curve_axis", { offset: digits(offsetText(shift)) }), "middle", "small");
  axis.setAttribute("direction", document.documentElement.dir);
  picture.append(axis);
  const columns = Math.min(ticks, 1200);
  const line = (points) => points.map(([k, value], i) => `${i ? "L" : "M"}${x(k).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  const live = columnsOf(curves.live, ticks, columns);
  const proven = columnsOf(curves.proven, ticks, columns);
  if (proven.length > 0) {
    const area = `${line(proven)}L${x(proven[proven.length - 1][0]).toFixed(1)} ${y(0)}L${x(proven[0][0]).toFixed(1)} ${y(0)}Z`;
    picture.append(drawn("path", { d: area, class: "proven area" }));
  }
  if (live.length > 0) picture.append(drawn("path", { d: line(live), class: "live line" }));
  if (proven.length > 0) picture.append(drawn("path", { d: line(proven), class: "proven line" }));
  if (named.peak_first !== null) {
    const at = x(named.peak_first - first + 0.5);
    const anchor = at > width * 0.8 ? "end" : at < width * 0.25 ? "start" : "middle";
    picture.append(drawn("line", { x1: at, x2: at, y1: y(named.peak), y2: height - bottom, class: "peak" }));
    picture.append(drawn("circle", { cx: at, cy: y(named.peak), r: 5, class: "peak" }));
    const clock = calendar(named.peak_first + 1, shift);
    picture.append(text(at, top - 12, `${say("curve_peak")} ${number(named.peak)} · ${digits(clock.slice(11))}`, anchor, "peak"));
  }
  return picture;
}

// What the lines and shades mean; only what is there.
function legend(result) {
  const kinds = ["loss", "clock", "lag"].filter((kind) => result.gaps.some((gap) => gap.kind === kind));
  const one = (style, words) => element("li", {}, element("span", { class: `swatch ${style}` }), words);
  return element(
    "ul", { class: "legend" },
    one("proven", say("curve_proven")), one("live", say("curve_live")),
    ...kinds.map((kind) => one(`gap ${kind}`, say(`gap_${kind}`))),
  );
}
