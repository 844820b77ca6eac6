// Test my page: a code of an operator, the link that carries it, and what the server sees of the page that is
// opened with it, asked once a second. Stands on console.js, which is loaded before it.
"use strict";

const TEST_EVERY_MS = 1000;
const GOOD = ["counted", "would-count"];
const OPEN = ["nobody", "silent", "unanswered"];
const test = { code: null, event: null, expires: 0, drawn: "" };

const isolated = (text) => `\u2066${text}\u2069`;
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => isolated(values[name]));
const key = (code) => code.replace(/-/g, "_");
const at = (milliseconds) => clock(milliseconds / 1000, (state.detail && state.detail.timezone) || "UTC");
const shortly = (milliseconds) => at(milliseconds).replace(/ .*\u2069/, "\u2069"); // without the place, in tables

function piece(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

// --- The link ---------------------------------------------------------------------------------------

function drawLink() {
  const given = element("test_address").value.trim();
  const behind = `#streamcount-test=${test.code}`;
  element("test_hash").textContent = behind;
  let address = null;
  try {
    address = new URL(given);
  } catch (none) {}
  // Nothing else may become a link of this page, which holds the operator's token.
  const good = address !== null && ["https:", "http:"].includes(address.protocol);
  element("test_note").textContent = given && !good ? state.words.test_no_address : "";
  element("test_link").hidden = !good;
  if (good) {
    address.hash = behind;
    element("test_link").href = address.href;
  } else {
    element("test_link").removeAttribute("href");
  }
}

// --- What the server saw ----------------------------------------------------------------------------

function helloOf(one) {
  const words = state.words;
  const parts = [
    filled(words.test_connection, {
      time: at(one.since_ms),
      origin: one.origin || words.test_no_origin,
      player: one.player || "?",
      stream: `${one.event}/${one.stream}`,
      protocol: one.protocol,
    }),
  ];
  if (one.source) parts.push(filled(words.test_source, { source: one.source }));
  parts.push(words.test_heard.replace("{n}", number(one.heard)));
  if (one.late) parts.push(words.test_late.replace("{n}", number(one.late)));
  if (one.closed !== null) parts.push(words.test_gone);
  return parts.join(" · ");
}

function rowOf(seen) {
  const words = state.words;
  const why = (code) => words[`test_why_${key(code)}`] || code;
  const says = [words[`test_state_${seen.state}`]];
  if (seen.muted) says.push(words.test_muted);
  if (!seen.visible) says.push(words.test_hidden);
  let answer = words.test_no_answer;
  if (seen.tick !== null) answer = words.test_ack.replace("{time}", shortly(seen.tick * 1000));
  else if (seen.noted !== null) answer = words.test_noted.replace("{why}", why(seen.noted));
  const row = document.createElement("tr");
  const effect = words[`test_effect_${seen.effect}`].replace("{why}", why(seen.why));
  const cells = [number(seen.number), shortly(seen.at_ms), says.join(" · "), effect, answer];
  row.append(...cells.map((text) => piece("td", text)));
  return row;
}

function tableOf(one) {
  const words = state.words;
  const [table, head, body] = ["table", "thead", "tbody"].map((name) => document.createElement(name));
  const names = [words.test_number, words.test_time, words.test_state, words.test_effect, words.test_answer];
  const row = document.createElement("tr");
  for (const name of names) {
    const cell = piece("th", name);
    cell.scope = "col";
    row.append(cell);
  }
  head.append(row);
  body.append(...one.heartbeats.map(rowOf).reverse());
  table.append(head, body);
  return table;
}

function verdictOf(found) {
  const words = state.words;
  const latest = found.connections[0];
  const text = words[`test_verdict_${key(found.verdict)}`] || found.verdict;
  if (found.verdict !== "refused") return text;
  const why = words[`test_refused_${latest.closed}`];
  return `${filled(text, { code: latest.closed })} ${why ? filled(why, latest) : isolated(latest.message)}`;
}

function drawTest(found) {
  const now = JSON.stringify([found, state.lang]);
  if (now === test.drawn) return;
  test.drawn = now;
  const verdict = element("test_verdict");
  const text = verdictOf(found);
  if (verdict.textContent !== text) verdict.textContent = text; // said aloud when it changes
  const kind = GOOD.includes(found.verdict) ? "good" : OPEN.includes(found.verdict) ? "" : "bad";
  verdict.className = `verdict ${kind}`;
  element("test_until").textContent = filled(state.words.test_until, { time: at(found.expires * 1000) });
  const pages = found.connections.map((one) => {
    const page = document.createElement("article");
    page.append(piece("p", helloOf(one), "hello"));
    if (one.heartbeats.length) page.append(tableOf(one));
    return page;
  });
  element("test_connections").replaceChildren(...pages);
}

// --- Going on ---------------------------------------------------------------------------------------

const testPath = () => `/api/events/${encodeURIComponent(test.event)}/tests`;

async function followTest(code) {
  if (test.code !== code) return;
  if (test.event !== state.event) return endTest();
  drawLink();
  try {
    const answer = await fetch(`${testPath()}/${code}`, { headers: { Authorization: `Bearer ${token()}` } });
    if (test.code !== code) return;
    if (answer.ok) drawTest(await answer.json());
    else if (answer.status === 404) {
      element("test_verdict").textContent = state.words.test_over;
      element("test_verdict").className = "verdict";
      test.code = null;
      return;
    }
  } catch (away) {} // the console says so itself
  setTimeout(followTest, TEST_EVERY_MS, code);
}

function endTest() {
  test.code = null;
  element("testing").hidden = true;
  element("test").focus();
}

element("test").onclick = async () => {
  try {
    test.event = state.event;
    const made = await askJson(testPath(), { method: "POST" });
    Object.assign(test, made, { drawn: "" });
    element("test_connections").replaceChildren();
    element("testing").hidden = false;
    element("test_title").focus();
    followTest(made.code);
  } catch (error) {
    notice(error.message);
  }
};
element("test_end").onclick = endTest;
element("test_address").oninput = drawLink;
