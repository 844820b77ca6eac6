"""A stand-in for YouTube, which tests cannot reach: its IFrame API and its player's page, answered by the browser's routes.

Documented, in YouTube's "Player API Reference for iframe Embeds": YT.Player over an iframe that is there, its
`enablejsapi=1` and `origin`, window.onYouTubeIframeAPIReady, the events onReady, onStateChange and onError with their
numbers, getPlayerState, getCurrentTime, getDuration (of a live event: the time since the stream began), isMuted,
getVideoUrl, getIframe, destroy, addEventListener.

Observed in published copies of the API's script, and not documented: player and page exchange JSON texts by postMessage; the
API says {"event": "listening"} four times a second until the player answers with "initialDelivery", whose `apiInterface`
names the methods, which the player object does not have before; it says "listening" again when the iframe loads again;
events come only for listeners that were added by a command; "infoDelivery" brings what the get methods return;
getCurrentTime adds at most a second to the last one told; YT.get(id) returns the player of an iframe;
getVideoData().isLive (there are reports that it stays false for live streams, then we do not know how far behind one is).

Assumed: an iframe without enablejsapi=1 never says anything; an `origin` that is not the page's gets no answer.

Video ids here: "error-150" cannot be played, for that reason; "silent" loads and never speaks; all others play when the button
is clicked, or at once with autoplay=1. live_stream?channel=ID is live, 12 s behind.
"""

from __future__ import annotations

API = """
(() => {
  if (!window.YT) window.YT = {loading: 0, loaded: 0};
  if (YT.loading) return;
  YT.loading = 1;
  const players = {}, byNumber = {};
  let numbers = 0;

  class Player {
    constructor(element, config = {}) {
      let frame = typeof element === "string" ? document.getElementById(element) : element;
      this.number = ++numbers;
      if (frame.tagName !== "IFRAME") {
        const made = document.createElement("iframe");
        if (frame.id) made.id = frame.id;
        made.src = `https://www.youtube.com/embed/${config.videoId}?enablejsapi=1&origin=${location.origin}&widgetid=${this.number}`;
        frame.replaceWith(made);
        frame = made;
      }
      this.frame = frame;
      if (!frame.id) frame.id = "widget" + this.number;
      this.host = new URL(frame.src).origin;
      this.info = {};
      this.heard = false;
      this.waiting = [];
      this.listeners = {};
      this.told = {};
      players[frame.id] = byNumber[this.number] = this;
      this.listen();
      frame.addEventListener("load", () => this.listen());
      for (const name in config.events || {}) this.addEventListener(name, config.events[name]);
    }
    listen() {
      clearInterval(this.calling);
      this.calling = setInterval(() => this.send({event: "listening"}), 250);
    }
    send(message) {
      if (!this.frame || !this.frame.contentWindow) return clearInterval(this.calling);
      this.frame.contentWindow.postMessage(JSON.stringify({...message, id: this.number, channel: "widget"}), this.host);
    }
    command(func, args) {
      const message = {event: "command", func, args};
      if (this.heard) this.send(message);
      else this.waiting.push(message);
    }
    addEventListener(name, listener) {
      (this.listeners[name] = this.listeners[name] || []).push(listener);
      if (!this.told[name]) this.command("addEventListener", [name]);
      this.told[name] = true;
      return this;
    }
    getIframe() { return this.frame; }
    destroy() {
      delete players[this.frame.id];
      this.frame.remove();
      this.frame = null;
    }
    take({event, info}) {
      this.heard = true;
      this.waiting.splice(0).forEach((message) => this.send(message));
      if (event === "initialDelivery") {
        clearInterval(this.calling);
        info.apiInterface.forEach((name) => {
          if (this[name]) return;
          const key = name.replace(/^(get|is)/, "");
          const field = key[0].toLowerCase() + key.slice(1);
          if (name === "getCurrentTime") {
            this[name] = () => this.info.currentTime + (this.info.playerState === 1 ? Math.min(1, Math.max(0, Date.now() / 1000 - this.info.currentTimeLastUpdated_)) : 0);
          } else if (/^(get|is)/.test(name)) this[name] = () => this.info[field];
          else this[name] = (...args) => (this.command(name, args), this);
        });
        this.info = {...info};
      } else if (event === "infoDelivery") Object.assign(this.info, info);
      else (this.listeners[event] || []).forEach((listener) => listener({target: this, data: info}));
    }
  }
  addEventListener("message", (message) => {
    let told;
    try { told = JSON.parse(message.data); } catch { return; }
    const player = told && byNumber[told.id];
    if (player && message.origin === player.host) player.take(told);
  });
  Object.assign(YT, {
    Player, loaded: 1, get: (id) => players[id],
    PlayerState: {UNSTARTED: -1, ENDED: 0, PLAYING: 1, PAUSED: 2, BUFFERING: 3, CUED: 5},
  });
  if (window.onYouTubeIframeAPIReady) window.onYouTubeIframeAPIReady();
})();
"""

PLAYER = """<!doctype html><meta charset=utf-8><button id=play>play</button><script>
  const query = new URLSearchParams(location.search);
  const video = location.pathname.split("/").pop();
  const live = video === "live_stream";
  const error = +((/^error-(\\d+)$/.exec(video) || [])[1] || 0);
  const began = performance.now();
  let state = -1, time = 0, id = null, muted = query.get("mute") === "1", moved = began;
  const wanted = new Set();
  const seconds = () => (performance.now() - began) / 1000;
  const info = () => ({
    playerState: state, currentTime: time, currentTimeLastUpdated_: Date.now() / 1000, muted, volume: 100,
    duration: live ? 3600 + seconds() : 600, videoUrl: "https://www.youtube.com/watch?v=" + video,
    videoData: {video_id: video, isLive: live},
  });
  const say = (event, told) => {
    if (id !== null && video !== "silent") parent.postMessage(JSON.stringify({event, info: told, id, channel: "widget"}), "*");
  };
  const tell = (event, told) => wanted.has(event) && say(event, told);
  function set(next) {
    state = next;
    if (live) time = 3600 + seconds() - 12;
    say("infoDelivery", info());
    tell("onStateChange", state);
  }
  const commands = {
    addEventListener(name) {
      wanted.add(name);
      if (name === "onReady") tell("onReady", null);
      if (name === "onError" && error) tell("onError", error);
    },
    playVideo: () => set(1), pauseVideo: () => set(2), mute: () => (muted = true), unMute: () => (muted = false),
  };
  if (query.get("enablejsapi") === "1") addEventListener("message", (message) => {
    if (query.has("origin") && query.get("origin") !== message.origin) return;
    const told = JSON.parse(message.data);
    if (told.event === "listening") {
      id = told.id;
      const apiInterface = ["getPlayerState", "getCurrentTime", "getDuration", "isMuted", "getVideoUrl", "getVideoData", "getVolume",
        "playVideo", "pauseVideo", "mute", "unMute"];
      say("initialDelivery", {...info(), apiInterface});
    } else if (told.event === "command") (commands[told.func] || (() => {}))(...told.args);
  });
  setInterval(() => {
    const now = performance.now();
    if (state === 1) time = live ? 3600 + seconds() - 12 : time + (now - moved) / 1000;
    moved = now;
    if (state === 1) say("infoDelivery", info());
  }, 250);
  document.getElementById("play").onclick = () => set(state === 1 ? 2 : 1);
  if (query.get("autoplay") === "1") set(1);
</script>"""


def install(target, *, api=True):
    """Answer for YouTube in a page or a browser context; without `api` its script does not load."""
    target.route(
        "https://www.youtube.com/iframe_api",
        lambda route: (
            route.fulfill(body=API, content_type="text/javascript") if api else route.abort()
        ),
    )
    for host in ("www.youtube.com", "www.youtube-nocookie.com"):
        target.route(
            f"https://{host}/embed/**",
            lambda route: route.fulfill(body=PLAYER, content_type="text/html"),
        )
