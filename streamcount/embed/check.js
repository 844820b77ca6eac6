/*! check.js, protocol v1. Apache-2.0.
 *
 * Shows on a page, to its owner, whether this page is counted, and if not, why and what to do. streamcount.js
 * loads it from beside itself when its tag has data-check, or when the page's address ends in #streamcount-check
 * or #streamcount-test=CODE. In Arabic or English: data-check="ar" or "en", else the page's language, else the
 * browser's.
 *
 * Theory of operation. Twice a second `look` gathers facts: what `window.streamcount` tells of itself, what the
 * server says of the event (GET /v1/events/ID/count, every five seconds), and whether the page's content policy
 * blocked the server. `judge` makes of them one line for each link of the chain: player, connection, event,
 * heartbeat, counted. `draw` writes what changed. The first broken link is what to mend; those behind it wait.
 *
 * It changes nothing on the page: everything is inside one shadow root, styled by a constructed stylesheet, which
 * needs no 'unsafe-inline'. The words come as a script from the server, so that a page whose policy allows
 * the counter's script and nothing else of it can be told so. Nothing here throws into the page.
 */
(function () {
  "use strict";

  const ID = "streamcount-check";
  if (document.getElementById(ID)) return;

  const LOOK_EVERY_MS = 500;
  const ASK_EVERY_MS = 5000;
  const PATIENCE_MS = 4000; // a connection may take that long before it is called a failure
  const BEATS_KEPT = 100;
  const PHONE_PX = 480;
  const PLAYERS = "video, audio, iframe, object, embed";
  const CODES = [1009, 1013, 4400, 4401, 4403, 4404, 4408, 4409, 4429];
  const PROBLEMS = ["no-player", "youtube-waiting", "youtube-playing", "youtube-blocked"];
  const YOUTUBE_ERRORS = ["2", "100", "101", "150", "153"]; // of which there is something to say
  const PARTS = ["player", "connection", "event", "heartbeat", "counted"];
  // Signs that do not rely on colour; a screen reader hears the text instead.
  const SIGNS = { yes: "✓", no: "✗", wait: "…", mind: "!" };

  const own = document.currentScript;
  const tag = document.querySelector("script[data-event]") || own;
  // Where the words may be: beside this script, or at the server that the tag names.
  const homes = [own && own.src, tag && tag.dataset.server].filter(Boolean);
  const language = (() => {
    const given = [tag && tag.dataset.check, document.documentElement.lang, navigator.language];
    const first = given.find((one) => /^(ar|en)\b/i.test(one || "")) || "en";
    return first.slice(0, 2).toLowerCase();
  })();

  /** Returns the function with a net under it: what it throws goes no further. */
  const safely = (action) => (...given) => {
    try {
      return action(...given);
    } catch (error) {
      if (safely.told !== String(error)) console.warn("streamcount:", (safely.told = String(error)));
    }
  };

  // --- Words --------------------------------------------------------------------------------------------

  let words = null;

  function loadWords() {
    const home = homes.shift();
    if (!home) return;
    const loader = document.createElement("script");
    loader.src = new URL(`/words/${language}.js`, new URL(home, location.href)).href;
    loader.nonce = (own && own.nonce) || "";
    loader.onload = () => (words = window.streamcountWords || null);
    loader.onerror = safely(loadWords);
    document.head.appendChild(loader);
  }

  /** A text in which what runs from left to right stays in one piece. Without the catalogue, its key. */
  function say(key, values = {}) {
    const text = (words && words[key]) || [key.replace(/^check_/, "").replace(/_/g, " "), ...Object.values(values)].join(" ");
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? `\u2066${values[name]}\u2069` : whole));
  }

  function clock(seconds) {
    const at = new Date(seconds * 1000);
    const time = at.toTimeString().slice(0, 8);
    const here = new Date();
    const date = [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
    return at.toDateString() === here.toDateString() ? time : `${date} ${time}`;
  }

  // --- Facts --------------------------------------------------------------------------------------------

  const beats = new Map(); // seq -> what was said of the player; the latest of them
  const seen = { blocked: false, count: null, answers: null, missing: false, apartSince: Date.now(), countedAt: 0 };

  // The embed's own attempt may have been before this script came; then it is that of `ask` which is blocked.
  document.addEventListener("securitypolicyviolation", (violation) => {
    const place = watchedServer();
    if (place && String(violation.blockedURI).includes(place.host)) seen.blocked = true;
  });

  function watching() {
    return (window.streamcount && window.streamcount.watching) || null;
  }

  function watchedServer() {
    const one = watching();
    return one && one.options && one.options.server ? new URL(one.options.server, location.href) : null;
  }

  /** What the server says of the event over plain HTTP: also how to tell a dead server from a blocked websocket. */
  async function ask() {
    const one = watching();
    if (!one || document.visibilityState === "hidden") return;
    const place = watchedServer();
    const at = `${place.protocol === "wss:" ? "https:" : "http:"}//${place.host}/v1/events/${encodeURIComponent(one.options.event)}/count`;
    try {
      const answer = await fetch(at, { cache: "no-store", credentials: "omit" });
      seen.answers = true;
      seen.missing = answer.status === 404;
      seen.count = answer.ok ? await answer.json() : null;
    } catch (unreachable) {
      seen.answers = false;
    }
  }

  function look() {
    const one = watching();
    const facts = { problem: window.streamcount && window.streamcount.problem, one, ...seen };
    if (!one) return facts;
    if (one.connected) seen.apartSince = Date.now();
    facts.apartMs = Date.now() - seen.apartSince;
    facts.place = watchedServer();
    if (one.lastBeat) {
      beats.set(one.lastBeat.seq, one.lastBeat);
      if (beats.size > BEATS_KEPT) beats.delete(beats.keys().next().value);
    }
    const acked = one.lastAck && beats.get(one.lastAck.seq);
    // Breaks are acknowledged too: counted is only who said that they play.
    if (acked && acked.state === "playing" && acked.visible) seen.countedAt = one.lastAck.tick;
    facts.countedAt = seen.countedAt;
    return facts;
  }

  // --- Judging ------------------------------------------------------------------------------------------

  const line = (sign, key, values, todo, more) => ({ sign, key, values, todo, more });
  const waits = () => line("wait", "check_waits");

  function judgePlayer({ one, problem }) {
    if (one) return line("yes", "check_player_found", { player: one.player.name });
    if (!problem) return line("wait", "check_player_looking");
    if (PROBLEMS.includes(problem)) {
      const name = problem.replace(/-/g, "_");
      return line(problem === "youtube-waiting" ? "wait" : "no", `check_player_${name}`, {}, `check_do_${name}`);
    }
    const [, code] = /^youtube-error-(\d+)$/.exec(problem) || [];
    if (code) {
      const todo = YOUTUBE_ERRORS.includes(code) ? `check_do_youtube_error_${code}` : "check_do_youtube_error";
      return line("no", "check_player_youtube_error", { code }, todo);
    }
    return line("no", "check_player_problem", { code: problem }, "check_do_problem");
  }

  function judgeConnection({ one, place, blocked, answers, apartMs }) {
    if (!one) return waits();
    const values = { server: place.host, event: one.options.event, stream: one.options.stream };
    if (one.error) {
      const code = one.error.code;
      if (CODES.includes(code)) return line("no", `check_code_${code}`, values, `check_do_${code}`);
      return line("no", "check_code_other", { code, message: one.error.message }, "check_do_problem");
    }
    if (one.connected) return line("yes", "check_connection_yes", values);
    if (blocked) {
      values.sources = `${place.origin.replace(/^ws/, "http")} ${place.origin}`;
      return line("no", "check_connection_blocked", values, "check_do_blocked");
    }
    if (location.protocol === "https:" && place.protocol === "ws:") {
      return line("no", "check_connection_insecure", values, "check_do_insecure");
    }
    if (apartMs < PATIENCE_MS || answers === null) return line("wait", "check_connection_trying", values);
    if (answers) return line("no", "check_connection_websocket", values, "check_do_websocket");
    return line("no", "check_connection_no", values, "check_do_unreachable");
  }

  /** The answer to the heartbeat that was answered last, if the player still does what that one said. */
  function latestAnswer(one) {
    const [ack, note] = [one.lastAck, one.lastNote];
    const answer = note && (!ack || note.seq > ack.seq) ? note : ack;
    const then = answer && beats.get(answer.seq);
    const same = then && ["state", "visible", "muted"].every((name) => then[name] === one.lastBeat[name]);
    return same ? answer : null;
  }

  function judgeEvent({ one, count, missing }) {
    if (!one) return waits();
    const [error, note] = [one.error && one.error.code, one.lastNote && one.lastNote.why];
    const values = { event: one.options.event };
    // The line above says what to do where the server closed the connection for it.
    const todo = (code) => (error === code ? "" : `check_do_${code}`);
    if (error === 4404 || missing) return line("no", "check_event_missing", values, todo(4404));
    if (error === 4409 || note === "closed" || (count && count.state === "final")) {
      return line("no", "check_event_closed", values, todo(4409));
    }
    const opens = one.welcome && one.welcome.opens_at;
    // The welcome is as old as the connection, and an event may open before it was to.
    const waiting = count ? count.state === "waiting" : note === "not-open" || opens > Date.now() / 1000;
    if (waiting) {
      if (!opens) return line("wait", "check_event_waiting", values, "check_do_waiting");
      return line("wait", "check_event_opens", { ...values, time: clock(opens) }, "check_do_waiting");
    }
    return count || one.lastAck ? line("yes", "check_event_open", values) : waits();
  }

  function judgeHeartbeat({ one }, event) {
    if (!one || !one.connected || event.sign === "no") return waits();
    const beat = one.lastBeat;
    if (!beat) return line("wait", "check_beat_none");
    if (beat.state !== "playing") {
      return line(beat.state === "buffering" ? "wait" : "no", `check_beat_${beat.state}`, {}, `check_do_${beat.state}`);
    }
    const answer = latestAnswer(one);
    if (answer && answer.type === "noted") {
      const why = answer.why.replace(/-/g, "_");
      const early = event.sign === "wait" && ["not-open", "not-ready"].includes(answer.why);
      if (early) return { ...line("wait", "check_beat_early"), ready: true };
      return line("no", `check_noted_${why}`, {}, `check_do_${why}`);
    }
    if (!beat.visible) return line("mind", "check_beat_hidden", {}, "check_do_hidden");
    return answer ? line("yes", "check_beat_yes") : line("wait", "check_beat_sent");
  }

  function judgeCounted({ one, countedAt }, heartbeat) {
    if (!one) return waits();
    const late = one.lastAck && one.lastAck.late;
    const more = late ? say("check_late", { n: late }) : "";
    if (!countedAt) return line("wait", "check_counted_not_yet", {}, "", more);
    const values = { time: clock(countedAt) };
    if (one.connected && heartbeat.sign === "yes") return line("yes", "check_counted_yes", values, "", more);
    return line(heartbeat.sign === "no" ? "no" : "wait", "check_counted_before", values, "", more);
  }

  function judge(facts) {
    const [player, connection, event] = [judgePlayer, judgeConnection, judgeEvent].map((one) => one(facts));
    const heartbeat = judgeHeartbeat(facts, event);
    const lines = { player, connection, event, heartbeat, counted: judgeCounted(facts, heartbeat) };
    const all = PARTS.map((part) => lines[part].sign);
    const sum = all.includes("no")
      ? "not"
      : all.every((sign) => sign === "yes")
        ? "counted"
        : heartbeat.ready
          ? "ready"
          : "waiting";
    return { lines, sum };
  }

  // --- Drawing ------------------------------------------------------------------------------------------

  const STYLE = `
    :host { all: initial !important; position: fixed !important; z-index: 2147483647 !important; display: block !important; max-width: calc(100vw - 16px) !important; }
    :host([data-at^="top"]) { top: 8px !important; }
    :host([data-at^="bottom"]) { bottom: 8px !important; }
    :host([data-at$="left"]) { left: 8px !important; }
    :host([data-at$="right"]) { right: 8px !important; }
    * { box-sizing: border-box; }
    section {
      --paper: #fff; --ink: #131a2b; --faint: #525c72; --line: #b6c0d3; --yes: #146c38; --no: #a8211a; --mind: #805400;
      width: 23rem; max-width: 100%; max-height: min(70vh, 34rem); overflow: auto; overscroll-behavior: contain;
      font: 14px/1.45 system-ui, "Segoe UI", "Noto Sans", "Noto Sans Arabic", sans-serif; color: var(--ink);
      background: var(--paper); border: 1px solid var(--line); border-radius: 10px; box-shadow: 0 4px 24px rgb(0 0 0 / .25);
    }
    section:lang(ar) { font-size: 15px; line-height: 1.6; }
    header { display: flex; align-items: center; gap: 4px; padding: 4px; }
    button { font: inherit; color: inherit; background: none; border: 0; border-radius: 7px; min-height: 40px; min-width: 40px; padding: 4px 8px; cursor: pointer; }
    button:focus-visible { outline: 3px solid var(--yes); outline-offset: -3px; }
    #fold { flex: 1; display: flex; align-items: center; gap: 8px; text-align: start; font-weight: 600; }
    #arrow { margin-inline-start: auto; transition: transform .15s; }
    #fold[aria-expanded="false"] #arrow { transform: rotate(180deg); }
    .sign { flex: none; width: 1.5em; height: 1.5em; line-height: 1.4em; text-align: center; font-weight: 700; border: 1px solid currentColor; border-radius: 50%; }
    .yes { color: var(--yes); } .no { color: var(--no); } .mind { color: var(--mind); } .wait { color: var(--faint); }
    ul { list-style: none; margin: 0; padding: 0 12px 12px; display: grid; gap: 8px; }
    li { display: flex; gap: 8px; align-items: start; }
    li div { min-width: 0; overflow-wrap: anywhere; }
    .todo { display: block; color: var(--ink); border-inline-start: 3px solid var(--line); padding-inline-start: 8px; margin-top: 2px; }
    .more { display: block; color: var(--faint); }
    #test { margin: 0; padding: 0 12px 12px; color: var(--faint); overflow-wrap: anywhere; }
    [hidden] { display: none !important; }
    @media (prefers-color-scheme: dark) {
      section { --paper: #10172a; --ink: #e9eefb; --faint: #a3aec6; --line: #45527a; --yes: #5bd17f; --no: #ff9a91; --mind: #e8bd66; }
    }
    @media (prefers-reduced-motion: reduce) { #arrow { transition: none; } }
    @media (forced-colors: active) { section, .sign { border-color: CanvasText; } }
    @media print { :host { display: none !important; } }
  `;

  /** Makes an element: a name, what it has, what is in it. */
  function make(name, has = {}, ...inside) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(has)) made.setAttribute(key, value);
    made.append(...inside);
    return made;
  }

  const host = make("div", { id: ID });
  const root = host.attachShadow({ mode: "open" });
  const places = {};
  const sign = () => make("span", { class: "sign", "aria-hidden": "true" });

  function build() {
    for (const part of PARTS) {
      const place = { sign: sign(), label: make("b"), text: make("span"), todo: make("span", { class: "todo" }) };
      place.more = make("span", { class: "more" });
      place.item = make("li", { id: part }, place.sign, make("div", {}, place.label, " ", place.text, place.more, place.todo));
      places[part] = place;
    }
    places.list = make("ul", { id: "lines" }, ...PARTS.map((part) => places[part].item));
    places.sumSign = sign();
    // Announced when it changes, and nothing else is: the seconds below would never be silent.
    places.sum = make("span", { role: "status", "aria-live": "polite", id: "sum" });
    const arrow = make("span", { id: "arrow", "aria-hidden": "true" }, "⌄");
    places.fold = make("button", { type: "button", id: "fold", "aria-controls": "lines" }, places.sumSign, places.sum, arrow);
    places.close = make("button", { type: "button", id: "close" }, make("span", { "aria-hidden": "true" }, "✕"));
    places.test = make("p", { id: "test" });
    places.panel = make("section", { lang: language, dir: language === "ar" ? "rtl" : "ltr" });
    places.panel.append(make("header", {}, places.fold, places.close), places.list, places.test);
    root.append(places.panel);
    try {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
    } catch (old) {
      root.prepend(make("style", {}, STYLE));
    }
    places.fold.onclick = () => fold(places.fold.getAttribute("aria-expanded") === "true");
    places.close.onclick = end;
    places.panel.onkeydown = (event) => {
      if (event.key === "Escape") end();
    };
    fold(innerWidth < PHONE_PX);
    (document.body || document.documentElement).append(host);
  }

  function fold(folded) {
    places.fold.setAttribute("aria-expanded", String(!folded));
    places.list.hidden = folded;
    places.test.hidden = folded || !places.test.textContent;
  }

  function write(place, text) {
    if (place.textContent !== text) place.textContent = text;
  }

  function draw({ lines, sum }) {
    const mark = { counted: "yes", ready: "yes", waiting: "wait", not: "no" }[sum];
    write(places.sumSign, SIGNS[mark]);
    places.sumSign.className = `sign ${mark}`;
    write(places.sum, say(`check_sum_${sum}`));
    places.panel.setAttribute("aria-label", say("check_title"));
    places.close.setAttribute("aria-label", say("check_close"));
    places.close.title = say("check_close");
    for (const part of PARTS) {
      const [place, found] = [places[part], lines[part]];
      write(place.sign, SIGNS[found.sign]);
      place.sign.className = `sign ${found.sign}`;
      write(place.label, say(`check_part_${part}`));
      write(place.text, say(found.key, found.values));
      write(place.more, found.more || "");
      write(place.todo, found.todo ? say(found.todo, found.values) : "");
      place.more.hidden = !found.more;
      place.todo.hidden = !found.todo;
      place.item.dataset.sign = found.sign;
      place.item.dataset.says = found.key;
    }
    const test = watching() && watching().options.test;
    write(places.test, test ? say("check_test", { code: test }) : "");
    places.test.hidden = !test || places.list.hidden;
    host.dataset.sum = sum;
  }

  /** Stands in the corner where it covers least of the players, and of their controls least of all. */
  function stand() {
    const panel = places.panel.getBoundingClientRect();
    const [wide, high] = [document.documentElement.clientWidth, innerHeight];
    const rects = [...document.querySelectorAll(PLAYERS)].map((player) => player.getBoundingClientRect());
    const covers = (at) => {
      const left = at.endsWith("left") ? 8 : wide - panel.width - 8;
      const top = at.startsWith("top") ? 8 : high - panel.height - 8;
      const over = (rect, from) =>
        Math.max(0, Math.min(rect.right, left + panel.width) - Math.max(rect.left, left)) *
        Math.max(0, Math.min(rect.bottom, top + panel.height) - Math.max(from, top));
      return rects.reduce((sum, rect) => sum + over(rect, rect.top) + 20 * over(rect, rect.bottom - 60), 0);
    };
    const [start, end_] = language === "ar" ? ["right", "left"] : ["left", "right"];
    const corners = [`bottom-${end_}`, `bottom-${start}`, `top-${end_}`, `top-${start}`];
    host.dataset.at = corners.reduce((best, at) => (covers(at) < covers(best) ? at : best));
  }

  // --- Going on -----------------------------------------------------------------------------------------

  const timers = [];

  function end() {
    timers.forEach(clearInterval);
    removeEventListener("resize", onResize);
    host.remove();
  }

  const onResize = safely(stand);
  const go = safely(() => {
    if (document.getElementById(ID)) return; // another tag's
    build();
    let stood = "";
    const step = safely(() => {
      draw(judge(look()));
      // Anew when the words or the player come, and not by itself afterwards.
      const now = `${Boolean(words)} ${Boolean(watching())}`;
      if (stood !== now) stand();
      stood = now;
    });
    step();
    timers.push(setInterval(step, LOOK_EVERY_MS), setInterval(safely(ask), ASK_EVERY_MS));
    setTimeout(safely(ask), 1000);
    addEventListener("resize", onResize);
  });
  safely(loadWords)();
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", go);
  else go();
})();
