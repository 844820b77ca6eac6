/*! streamcount.js, Apache-2.0: tells a server that this page's player is being watched. README.md: how to use it.
 *
 * tick() looks at the player, and sends a heartbeat when the state has changed or one is due. Whatever happens
 * calls it, a timer, events, messages: timers of hidden pages run once a minute.
 */
(function () {
"use strict";

const script = globalThis.document?.currentScript; // none in Node
const BACKOFF_MS = 250;
const DOUBLINGS_MOST = 5;
const LOOK_MS = 1000;
const CHANGE_MS = 300; // several changes are one heartbeat
const WAY_MS = 4000; // an answer takes less
const SILENCE_MS = 10000;
const FINAL_CODES = [4400, 4401, 4403, 4404, 4409, 1009];
const PLAYERS = "video, audio, iframe[src*='youtube'][src*='/embed/']";
const YOUTUBE = "https://www.youtube.com/iframe_api";

const told = [];
function tell(text) {
  if (!told.includes(text) && told.push(text) < 100) console.warn("streamcount: " + text);
}

/** Puts a net under a function: nothing is thrown into the page. */
function safely(action) {
  return (...given) => {
    try {
      return action(...given);
    } catch (error) {
      tell(String(error));
    }
  };
}

/** Why nobody is counted; null when that is over. */
function trouble(code, text) {
  api.problem = code;
  if (tagged) api.watching = /youtube/.test(code) ? null : tagged;
  if (text) tell(text);
}

let tagged; // the script tag's Watching
let viewer; // the same in all tabs, for ever

function viewerId() {
  const made = crypto.getRandomValues(new Uint32Array(4)).join("-");
  try {
    const key = "streamcount.viewer";
    const kept = localStorage.getItem(key);
    if (/^[\w.~-]{8,128}$/.test(kept)) return kept;
    localStorage.setItem(key, made);
  } catch {} // blocked
  return made;
}

// --- Players: read() says what one does; they call tick() when that changes ---

let manifest = ""; // behind a blob:
safely(() => {
  if (!globalThis.document) return;
  new PerformanceObserver((list) => {
    for (const { name } of list.getEntries()) if (/\.(m3u8|mpd)\b/.test(name)) manifest = name;
  }).observe({ type: "resource", buffered: true });
})();

function html5(video, tick, listen) {
  if (!video.play) throw new TypeError("no player: " + video);
  listen(video, "timeupdate", tick);
  let first = 0; // duration known first; a live stream's grows
  listen(video, "emptied", () => (first = 0));
  return {
    name: "html5",
    read() {
      const { currentSrc, duration, seekable } = video;
      first = first || duration;
      return {
        state: video.ended ? "ended" : video.paused ? "paused" : video.readyState < 3 ? "buffering" : "playing",
        position: video.currentTime,
        behind_live_s: duration < first + 1 || !seekable.length ? null : seekable.end(seekable.length - 1) - video.currentTime,
        muted: video.muted || !video.volume,
        source: /^blob:/.test(currentSrc) ? manifest : currentSrc,
      };
    },
  };
}

/** YouTube's player object, or an iframe as it is pasted. */
function youtube(given, tick, listen) {
  let player;
  const attach = (found) => {
    player = found;
    player.addEventListener("onStateChange", tick);
    player.addEventListener("onReady", () => trouble(null));
    player.addEventListener("onError", (error) => trouble("youtube-error-" + error.data, "YouTube says error " + error.data));
    if (player.getPlayerState) trouble(null);
  };
  listen(window, "message", tick);
  if (given.getIframe) attach(given);
  else if (enableApi(given)) {
    trouble("youtube-waiting");
    if (!window.YT) load(YOUTUBE).onerror = () => trouble("youtube-blocked", YOUTUBE + " does not load");
    const wait = setInterval(
      safely(() => {
        const there = given.isConnected;
        if (there && !window.YT?.Player) return;
        clearInterval(wait);
        if (there) attach(window.YT.get?.(given.id) || new window.YT.Player(given, {}));
      }),
      200,
    );
  }
  return {
    name: "youtube",
    read() {
      if (!player?.getPlayerState) return {};
      const position = player.getCurrentTime();
      const live = player.getVideoData?.()?.isLive;
      return {
        state: player.getIframe()?.isConnected ? { 0: "ended", 1: "playing", 3: "buffering" }[player.getPlayerState()] : "ended",
        position,
        behind_live_s: live ? player.getDuration() - position : null,
        muted: player.isMuted(),
        source: player.getVideoUrl(),
      };
    },
  };
}

/** Adds enablejsapi=1, which loads the iframe anew; false if that would interrupt somebody. */
function enableApi(frame) {
  const url = new URL(frame.src);
  const query = url.searchParams;
  if (query.get("enablejsapi") === "1") return true;
  if (document.activeElement === frame || (query.get("autoplay") === "1" && document.readyState === "complete")) {
    trouble("youtube-playing", "the YouTube iframe plays already: give it enablejsapi=1");
    return false;
  }
  query.set("enablejsapi", "1");
  if (location.host) query.set("origin", location.origin);
  const place = new Comment();
  frame.replaceWith(place); // put in again it is new: no step in the history
  frame.src = url.href;
  place.replaceWith(frame);
  return true;
}

function load(src) {
  const loader = document.createElement("script");
  loader.src = src;
  return document.head.appendChild(loader);
}

// --- A viewer ---

function watch(given, options) {
  const { event, token, test, stream = "main" } = options;
  if (!event) throw new TypeError("which event?");
  const server = new URL("/v1/viewers", options.server || script?.src).href.replace(/^http/, "ws");
  const ending = new AbortController();
  let seq = 0;
  let attempt = 0;
  let interval = 10000;
  let sent = 0; // when the last heartbeat was
  let asked = 0; // since when nobody answers
  let source = "";
  let changes = 0; // in a row
  let answers = []; // to other tabs, the last two
  let pause = null; // what may be a break, until it is answered
  let unheard = false; // it may be lost
  let done = false;
  let socket, tabs, changing, again, moving, looking;

  const watching = {
    options: { event, stream, server, token, test },
    connected: false,
    welcome: null,
    lastBeat: null,
    lastAck: null,
    lastNote: null,
    error: null,
    stop: safely(() => {
      done = true;
      leave();
      ending.abort();
    }),
  };

  const listen = (target, name, action) => target.addEventListener(name, safely(action), { signal: ending.signal });
  const seconds = (number) => (Number.isFinite(number) ? +number.toFixed(3) : null);
  const keeps = { welcome: "welcome", ack: "lastAck", noted: "lastNote", error: "error" };
  const ends = (seen) => /d$/.test(seen?.state); // paused, ended
  const mark = (seen) => seen.state + seen.visible + seen.muted;

  /** What the player does, in the protocol's words. */
  function look() {
    let seen = { state: "ended" };
    safely(() => (seen = watching.player.read()))(); // a destroyed player throws
    return {
      state: /^(playing|buffering|ended)$/.test(seen.state) ? seen.state : "paused",
      visible: document.visibilityState !== "hidden",
      muted: !!seen.muted,
      position: seconds(seen.position),
      behind_live_s: seconds(seen.behind_live_s),
      source: String(seen.source || "").replace(/[^ -~]/g, "?").slice(0, 300),
    };
  }

  const tick = safely(() => {
    if (done) return;
    const now = performance.now();
    if (asked && now - asked > 3 * interval + SILENCE_MS) drop();
    if (now - sent > interval - LOOK_MS / 5) {
      if (changes) changes--;
      beat();
    } else if (!changing && watching.lastBeat && mark(look()) !== mark(watching.lastBeat)) {
      changing = setTimeout(beat, CHANGE_MS << changes);
      if (changes < DOUBLINGS_MOST) changes++;
    }
  });

  const beat = safely((quietly) => {
    const message = { type: "heartbeat", seq: 0, ...look() };
    clearTimeout(changing);
    changing = 0;
    // A pause that nobody heard would be counted through: it is told again, first.
    if (asked && performance.now() - asked > WAY_MS) unheard = true;
    if (pause && unheard) say(Object.assign(pause, { seq: ++seq, again: true }));
    unheard = false;
    message.seq = ++seq;
    if (message.source === source) delete message.source;
    else source = message.source;
    if (ends(message) || !message.visible) {
      pause = ends(pause) ? { ...message, state: "paused" } : message; // hidden may count
      // A tab of this viewer that plays on says so in the same second, where presence wins.
      if (quietly !== true) tabs?.postMessage(event);
    }
    const now = performance.now();
    if (quietly !== true) sent = now;
    if (say(message)) asked = asked || now;
    watching.lastBeat = message;
  });

  function say(message) {
    if (!watching.connected || socket.readyState !== 1) return false;
    socket.send(JSON.stringify(message));
    return true;
  }

  const connect = safely(() => {
    if (done || socket?.readyState < 2) return;
    clearTimeout(again);
    const own = (socket = new WebSocket(server, "streamcount.v1"));
    asked = performance.now();
    own.onopen = safely(() => {
      viewer = viewer || viewerId();
      source = look().source;
      const player = String(watching.player.name).slice(0, 99);
      own.send(JSON.stringify({ type: "hello", event, stream, viewer, source, player, token, test }));
    });
    own.onmessage = safely((message) => {
      const heard = JSON.parse(message.data);
      if (pause && heard.seq === pause.seq) {
        if (heard.why === "not-ready") unheard = true;
        else pause = null;
      }
      if (own === socket) hear(heard);
      tick();
    });
    own.onerror = own.onclose = safely((closed) => {
      if (own !== socket) return;
      done = FINAL_CODES.includes(closed.code);
      if (!watching.welcome && !watching.error) trouble("no-connection", "no connection to " + server);
      drop();
    });
  });

  /** Comes back, after a random time: not in step with others. */
  function drop() {
    detach()?.close();
    clearTimeout(again);
    again = setTimeout(connect, Math.random() * (BACKOFF_MS << attempt));
    if (attempt < DOUBLINGS_MOST) attempt++;
  }

  function detach() {
    const old = socket;
    socket = null;
    asked = 0;
    watching.connected = false;
    return old;
  }

  function hear(message) {
    asked = 0;
    const { type } = message;
    if (keeps[type]) watching[keeps[type]] = message;
    if (message.seq) attempt = 0; // it serves
    if (type === "welcome") {
      watching.connected = true;
      watching.error = null;
      if (api.problem === "no-connection") trouble(null);
      interval = message.interval * 1000;
      unheard = true;
      beat();
    } else if (type === "error") tell(message.message);
    else if (type === "reconnect") {
      clearTimeout(moving);
      moving = setTimeout(() => {
        const old = detach();
        connect();
        setTimeout(() => old?.close(), 5000); // answers come till then
      }, message.after * 1000);
    }
  }

  /** Begins; also when the page comes back from the back-forward cache. */
  const enter = safely(() => {
    looking = looking || setInterval(tick, LOOK_MS);
    connect();
    tabs = new BroadcastChannel("streamcount");
    tabs.onmessage = safely((message) => {
      const now = performance.now();
      if (message.data !== event || look().state !== "playing" || now - answers[0] < interval) return;
      answers = [answers[1], now];
      beat(true);
    });
  });

  /** Says bye, without a connection by a beacon. */
  const leave = safely(() => {
    if (!looking) return;
    pause = { type: "heartbeat", seq, state: "paused" }; // should it come back
    [again, moving, changing, looking].forEach(clearTimeout);
    looking = changing = 0;
    if (!say({ type: "bye" }) && watching.lastBeat) {
      const bye = { event, stream, viewer, token, bye: { seq: ++seq } };
      navigator.sendBeacon(server.replace("ws", "http").replace(/viewers$/, "heartbeats"), JSON.stringify(bye));
    }
    detach()?.close(1000);
    tabs?.postMessage(event);
    tabs?.close();
  });

  const kind = given.getIframe || given.tagName === "IFRAME" ? youtube : html5;
  watching.player = given.read ? given : kind(given, tick, listen);
  if (given.read) given.onchange?.(tick);
  listen(document, "visibilitychange", tick);
  listen(window, "pagehide", leave);
  listen(window, "pageshow", (shown) => shown.persisted && enter());
  listen(window, "offline", drop);
  listen(window, "online", () => {
    attempt = 0;
    connect();
  });
  enter();
  return watching;
}

// --- The script tag ---

const api = (globalThis.streamcount = globalThis.streamcount || { watch: safely(watch), watching: null, problem: null });
if (!script?.dataset.event) return;
const test = script.dataset.test || /streamcount-test=([\w.~-]{1,64})/.exec(location.hash)?.[1];

/** Watches what the page names, or is in that, or any player; and what takes its place. */
let found;
const begin = safely(() => {
  if (found?.isConnected) return;
  found = document.querySelector(script.dataset.player || PLAYERS);
  if (!found?.matches(PLAYERS)) found = found?.querySelector(PLAYERS);
  if (!found) return trouble("no-player", "no player on this page yet");
  tagged?.stop();
  trouble(null);
  tagged = safely(watch)(found, { ...script.dataset, test });
  trouble(api.problem);
});

const start = safely(() => {
  begin();
  new MutationObserver(begin).observe(document, { childList: true, subtree: true, attributeFilter: ["src"] });
  if ("check" in script.dataset || /streamcount-check/.test(location.hash) || test) load(new URL("check.js", script.src));
});

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
})();
