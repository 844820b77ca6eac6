// The operators' console: one page, no build step. Looks at the API once a second and draws what it says.
// The token comes in the address behind the #, which no server sees, and stays in this tab's session storage.
"use strict";

const LOOK_EVERY_MS = 1000;
const STALE_AFTER_MS = 4000;
const CURVE_TICKS = 900;
const GAPS_LISTED = 5;
const ROUNDS_SHOWN = 1000;
// So many of a platform's highest numbers may run off the top, so that an outlier does not flatten everything.
const OUTLIERS = 2;
const REFUSAL_SHOWN_MS = 10000;

const element = (id) => document.getElementById(id);
const state = { words: {}, event: null, answered: Date.now(), lang: "en", detail: null, refused: 0 };

// --- Asking -----------------------------------------------------------------------------------------

// Storage may be blocked; then what is kept lasts as long as the page.
const kept = {};

function keep(storage, name, value) {
  kept[name] = value;
  try {
    window[storage].setItem(name, value);
  } catch (blocked) {}
}

function recall(storage, name) {
  try {
    return window[storage].getItem(name) || kept[name];
  } catch (blocked) {
    return kept[name];
  }
}

function token() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    keep("sessionStorage", "token", given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return recall("sessionStorage", "token");
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { Authorization: `Bearer ${token()}` } });
  if (answer.status === 401) throw new Error(state.words.signed_out);
  if (!answer.ok) throw Object.assign(new Error(), { said: (await answer.json()).error });
  return answer;
}

const askJson = async (path, options) => (await ask(path, options)).json();

// --- Words ------------------------------------------------------------------------------------------

async function speak(lang) {
  state.lang = lang;
  state.words = await (await fetch(`/words/${lang}.json`)).json();
  keep("localStorage", "lang", lang);
  document.documentElement.lang = lang;
  document.documentElement.dir = lang === "ar" ? "rtl" : "ltr";
  for (const place of document.querySelectorAll("[data-word]")) {
    place.textContent = state.words[place.dataset.word];
  }
  for (const place of document.querySelectorAll("[data-label]")) {
    place.setAttribute("aria-label", state.words[place.dataset.label]);
  }
  element("language").textContent = state.words.other_language;
}

const number = (value) => value.toLocaleString(state.lang === "ar" ? "ar-SA-u-nu-latn" : "en");

// The instant a tick ends in, on the clocks of the event's place; isolated, as it reads from left to right.
function clock(tick, zone) {
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  const at = new Date(tick * 1000);
  const write = (timeZone) => `\u2066${at.toLocaleTimeString("en", { ...time, timeZone })} ${timeZone}\u2069`;
  try {
    return write(zone);
  } catch (unknownZone) {
    return write("UTC");
  }
}

// What the service itself says, gaps' reasons and refusals, is English whatever the page's language.
function english(said) {
  return Object.assign(document.createElement("bdi"), { lang: "en", dir: "ltr", textContent: said });
}

function notice(text, said) {
  element("notice").replaceChildren(text, ...(said ? [" ", english(said)] : []));
  element("notice").hidden = !text;
  element("event").classList.toggle("stale", Boolean(text));
}

// A refusal is there to be read: the next look at the numbers, a second later, leaves it.
const refusedLately = () => Date.now() - state.refused < REFUSAL_SHOWN_MS;

function complain(error) {
  if (error.said) notice(state.words.service_says, error.said);
  else notice(error.message);
}

// --- Drawing ----------------------------------------------------------------------------------------

function drawEvents(events) {
  const links = events.map((one) => {
    const link = document.createElement("a");
    link.href = `?event=${encodeURIComponent(one.id)}`;
    link.textContent = one.id;
    link.title = state.words[`stage_${one.stage}`];
    if (one.id === state.event) link.setAttribute("aria-current", "page");
    return link;
  });
  element("events").replaceChildren(...links);
}

function drawCounts(counts) {
  const words = state.words;
  element("title").textContent = counts.title[state.lang] || counts.title.en || counts.title.ar;
  // The claim is counted once more from the evidence, which of a large event takes a while.
  const percent = counts.counting ? number(Math.floor((100 * counts.counting.done) / counts.counting.all)) : "";
  element("stage").textContent = words[`stage_${counts.stage}`] + (percent && ` (${words.counting_claim.replace("{n}", percent)})`);
  element("rehearsal").hidden = counts.kind === "attempt";
  element("rehearsal").textContent = words.rehearsal;
  element("peak").textContent = number(counts.peak);
  element("reached").textContent = counts.peak_tick
    ? `${words.reached_at} ${clock(counts.peak_tick, counts.timezone)}`
    : words.not_reached;
  element("proven").textContent = number(counts.proven);
  element("proven_label").textContent = words.proven_ago.replace("{n}", counts.window);
  element("live").textContent = number(counts.live);
  element("uniques").textContent = number(counts.uniques);
  element("target_line").hidden = !counts.target;
  if (counts.target) {
    // Only the number that is claimed crosses the line.
    const soFar = counts.platform && counts.platform.claimed ? counts.platform.so_far.peak : counts.peak;
    const claimed = counts.claim ? counts.claim.value : soFar;
    const beaten = claimed >= counts.target ? ` ${words.beaten}` : "";
    element("target").textContent = number(counts.target) + beaten;
  }
  element("size").textContent = number(counts.log_size);
  element("root").textContent = counts.log_root.slice(0, 32).match(/.{4}/g).join(" ");
  element("open").disabled = counts.stage !== "waiting";
  element("close").disabled = counts.stage !== "open";
  if (counts.trouble) notice(words.trouble, counts.trouble);
  else if (counts.uncertain) notice(words.uncertain);
  else if (!refusedLately()) notice("");
}

// Where measurement was degraded: bands behind the curve, and what they mean, the latest first.
function drawGaps(counts, timeline) {
  const { live, first } = timeline;
  const wide = Math.max(1, live.length - 1);
  const at = (tick) => Math.min(1000, Math.max(0, ((tick - first) / wide) * 1000));
  const bands = counts.latest_gaps.map((gap) => {
    const band = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const [from, to] = first === null ? [0, 0] : [at(gap.first), at(gap.last + 1)];
    const place = { x: from, width: Math.max(0, to - from), y: 0, height: 258, class: gap.kind };
    for (const [name, value] of Object.entries(place)) band.setAttribute(name, value);
    return band;
  });
  element("curve_gaps").replaceChildren(...bands);
  const lines = counts.latest_gaps.map((gap) => {
    const [line, kind] = ["li", "b"].map((name) => document.createElement(name));
    kind.textContent = state.words[`gap_${gap.kind}`];
    const when = state.words.gap_when
      .replace("{time}", clock(gap.first, counts.timezone))
      .replace("{n}", number(gap.last - gap.first + 1));
    line.append(kind, ` ${when}: `, english(gap.reason));
    return line;
  });
  element("gaps").replaceChildren(...lines.reverse().slice(0, GAPS_LISTED));
}

// The platform's own count: its last number and when, its highest, how the asking goes. Absent is not zero.
function drawPlatform(counts) {
  const { words } = state, told = counts.platform;
  element("beside_line").hidden = element("beside_told").hidden = !told;
  if (!told) return;
  const shown = told.number === null ? words.platform_absent : number(told.number);
  const asked = document.createElement("small");
  asked.textContent = told.asked_ms === null ? "" : clock(Math.floor(told.asked_ms / 1000), counts.timezone);
  element("platform").replaceChildren(shown, " ", asked);
  const { peak, peak_ms: peakMs, samples, failed, absent } = told.so_far;
  const said = [told.claimed ? words.platform_is_claimed : words.platform_is_beside];
  if (peak !== null) {
    const at = clock(Math.floor(peakMs / 1000), counts.timezone);
    said.push(words.platform_highest.replace("{n}", number(peak)).replace("{time}", at));
  }
  said.push(words.platform_samples.replace("{n}", number(samples)).replace("{n_failed}", number(failed)).replace("{n_absent}", number(absent)));
  const lines = [told.names.join(", "), ...(told.trouble ? [told.trouble] : [])].map((text, i) => {
    const line = document.createElement("li"), mark = document.createElement("b");
    mark.textContent = i ? words.platform_trouble : "";
    line.append(mark, " ", english(text), i ? "" : `: ${said.join(" ")}`);
    return line;
  });
  element("beside_told").replaceChildren(...lines);
}

// Who else has seen how much of the log, and what is wrong with whom.
function drawOthers(counts) {
  const told = counts.witnessing;
  element("others_line").hidden = !told.parties.length;
  const said = state.words.others_told
    .replace("{n}", number(told.witnessed))
    .replace("{n_timed}", number(told.timed));
  const troubled = told.parties.filter((one) => one.trouble).map((one) => `${one.name}: ${one.trouble}`);
  if (told.trouble) troubled.push(told.trouble);
  const lines = troubled.flatMap((text) => [document.createElement("br"), english(text)]);
  element("others").replaceChildren(said, ...lines);
}

// Where a platform has no number, the line has a gap; a number alone between two gaps is a dot.
function platformPath(told, x, y, first) {
  let open = false;
  return told.numbers.map((value, i) => {
    const at = told.asked_ms[i] / 1000 - first;
    const drawn = value !== null && at >= 0;
    const step = drawn ? `${open ? "L" : "M"}${x(at)} ${y(value)}${open ? "" : "h0"}` : "";
    open = drawn;
    return step;
  }).join("");
}

function drawCurve(timeline, told, target, zone) {
  const { live, proven, first } = timeline;
  const empty = first === null || live.length < 2;
  const numbers = told ? told.numbers.filter((value) => value !== null).sort((a, b) => b - a) : [];
  const usual = numbers[Math.min(OUTLIERS, numbers.length - 1)] || 0;
  const top = Math.max(1, ...live, target || 0, usual) * 1.08;
  const x = (i) => ((i / Math.max(1, live.length - 1)) * 1000).toFixed(1);
  const y = (value) => (258 - (value / top) * 252).toFixed(1);
  const line = (values) => values.map((value, i) => `${i ? "L" : "M"}${x(i)} ${y(value)}`).join("");
  const known = proven.filter((value) => value !== null);
  element("curve_live").setAttribute("d", empty ? "" : line(live));
  element("curve_proven").setAttribute("d", empty ? "" : line(known));
  const closed = known.length > 1 ? `${line(known)}L${x(known.length - 1)} 258L0 258Z` : "";
  element("curve_area").setAttribute("d", empty ? "" : closed);
  element("curve_platform").setAttribute("d", empty || !told ? "" : platformPath(told, x, y, first));
  element("curve_target").setAttribute("y1", y(target || 0));
  element("curve_target").setAttribute("y2", y(target || 0));
  element("curve_target").style.visibility = target ? "visible" : "hidden";
  element("from").textContent = empty ? "" : clock(first, zone);
  element("to").textContent = empty ? "" : clock(first + live.length - 1, zone);
}

// --- Looking, once a second -------------------------------------------------------------------------

async function look() {
  try {
    const events = await askJson("/api/events");
    state.answered = Date.now();
    const usable = events.filter((one) => one.stage !== "broken");
    if (!state.event && usable.length) state.event = usable[usable.length - 1].id;
    drawEvents(events);
    element("create").hidden = false;
    element("event").hidden = !state.event;
    if (!state.event) {
      if (!refusedLately()) notice(state.words.no_events);
      return;
    }
    const path = `/api/events/${encodeURIComponent(state.event)}`;
    const counts = await askJson(`${path}/counts`);
    const since = Math.max(0, (counts.archived || 0) - CURVE_TICKS);
    const timeline = await askJson(`${path}/timeline?since=${since}&most=${CURVE_TICKS + 1}`);
    if (!state.detail) state.detail = await askJson(path);
    element("key").textContent = state.detail.key;
    const asked = counts.platform && `${path}/platform?since=${since}&most=${ROUNDS_SHOWN}`;
    const told = asked ? await askJson(asked) : null;
    drawCounts(counts);
    drawPlatform(counts);
    drawOthers(counts);
    drawCurve(timeline, told, counts.target, counts.timezone);
    drawGaps(counts, timeline);
  } catch (error) {
    if (!token()) notice(state.words.signed_out);
    else if (Date.now() - state.answered > STALE_AFTER_MS) notice(state.words.stale);
    else if (!(error instanceof TypeError)) complain(error); // TypeError: no answer at all
  }
}

async function lookForEver() {
  await look();
  setTimeout(lookForEver, LOOK_EVERY_MS);
}

// --- Acting -----------------------------------------------------------------------------------------

async function act(path, body) {
  try {
    await ask(path, { method: "POST", body: JSON.stringify(body) });
    state.refused = 0;
    await look();
    return true;
  } catch (error) {
    state.refused = Date.now();
    complain(error);
    return false;
  }
}

const eventPath = () => `/api/events/${encodeURIComponent(state.event)}`;

element("open").onclick = () => confirm(state.words.sure_open) && act(`${eventPath()}/open`, {});
element("close").onclick = () => confirm(state.words.sure_close) && act(`${eventPath()}/close`, {});

element("evidence").onclick = async () => {
  element("evidence").disabled = true;
  try {
    const answer = await ask(`${eventPath()}/evidence`);
    const name = /filename=(\S+)/.exec(answer.headers.get("Content-Disposition"))[1];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (error) {
    state.refused = Date.now();
    complain(error);
  }
  element("evidence").disabled = false;
};

// The video's id, out of its address or as it is.
function videoOf(given) {
  const found = /(?:[?&]v=|youtu\.be\/|\/live\/|\/embed\/)([A-Za-z0-9_-]{11})(?![\w-])/.exec(given);
  return { name: "youtube", video: found ? found[1] : given.trim() };
}

element("form").onsubmit = async (submitted) => {
  submitted.preventDefault();
  const given = Object.fromEntries(new FormData(submitted.target));
  const made = await act("/api/events", {
    id: given.id,
    kind: given.kind,
    title: { en: given.en || (given.ar ? "" : given.id), ar: given.ar },
    window: Number(given.window),
    interval: Number(given.interval),
    policy: { origins: given.origins.split(/\s+/).filter(Boolean) },
    target: given.target ? Number(given.target) : null,
    streams: [{ id: "main", platform: given.youtube.trim() ? videoOf(given.youtube) : null }],
    claimed_count: given.claim,
  });
  if (made) location.search = `?event=${encodeURIComponent(given.id)}`;
};

element("language").onclick = async () => {
  await speak(state.lang === "ar" ? "en" : "ar");
  await look();
};

(async () => {
  token();
  state.event = new URLSearchParams(location.search).get("event");
  await speak(recall("localStorage", "lang") || (navigator.language.startsWith("ar") ? "ar" : "en"));
  lookForEver();
})();
