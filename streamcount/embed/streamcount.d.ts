// What streamcount.js offers to pages: as window.streamcount, and as the module "streamcount".
// The messages are those of docs/protocol.md.

/** What a player does. Anything else that read() says is taken as "paused". */
export type State = "playing" | "paused" | "buffering" | "ended";

/** A look at a player. */
export interface Reading {
  state: State;
  /** Seconds, anywhere on the player's own scale. Where the event's policy asks for progress it must move. */
  position?: number | null;
  /** Seconds behind the live edge; null or left out when that is not known. */
  behind_live_s?: number | null;
  muted?: boolean;
  /** What plays: an address or a video's id, at most 300 characters. */
  source?: string;
}

/** A player that the page describes itself. */
export interface Player {
  /** What kind of player it is, for the record; "html5" and "youtube" are our own. */
  name: string;
  /** Called once a second and more; must be quick. If it throws, the player counts as ended. */
  read(): Reading;
  /** Called once with a function to be called when something may have changed. Without it a change is seen within a second. */
  onchange?(changed: () => void): void;
}

/** A player of the YouTube IFrame API, as far as it is used here. */
export interface YouTubePlayer {
  getIframe(): HTMLIFrameElement;
  getPlayerState(): number;
}

export interface Options {
  /** The event's id. */
  event: string;
  /** The stream's id, "main" if left out. */
  stream?: string;
  /** The server, "https://count.example.org". Only a page that loads streamcount.js from there may leave it out. */
  server?: string;
  /** A token, for servers that ask for one. */
  token?: string;
  /** The code of a test that the operator's console has begun. */
  test?: string;
}

export interface Heartbeat extends Reading {
  type: "heartbeat";
  seq: number;
  visible: boolean;
  muted: boolean;
  position: number | null;
  behind_live_s: number | null;
}

export interface Welcome {
  type: "welcome";
  /** Seconds. */
  interval: number;
  /** Seconds. */
  window: number;
  /** Unix seconds; only while the event is not open yet. */
  opens_at?: number;
  /** Event time, Unix milliseconds. */
  server_time: number;
}

/** This heartbeat is in durable evidence. */
export interface Ack {
  type: "ack";
  seq: number;
  /** The second it counts in, Unix. */
  tick: number;
  /** Viewers now, not confirmed. Not to be shown while `uncertain`. */
  live: number;
  /** The confirmed peak. Not to be shown while `uncertain`. */
  peak: number;
  uncertain: boolean;
  late: number;
}

/** This heartbeat counts for nothing, and why. */
export interface Noted {
  type: "noted";
  seq: number;
  why: string;
}

/** The server refused; whether there is a way back says the code. */
export interface Refusal {
  type: "error";
  code: number;
  message: string;
}

/** One player that is being watched, over one connection at a time. */
export interface Watching {
  readonly player: { readonly name: string; read(): Partial<Reading> };
  /** As they are used; `server` is the websocket's address. */
  readonly options: Readonly<Options & { stream: string; server: string }>;
  /** Welcomed, over a connection that is open. */
  readonly connected: boolean;
  readonly welcome: Welcome | null;
  /** The heartbeat that was made last; it was sent if `connected`. */
  readonly lastBeat: Heartbeat | null;
  readonly lastAck: Ack | null;
  readonly lastNote: Noted | null;
  readonly error: Refusal | null;
  /** Says bye and ends for good. */
  stop(): void;
}

/** Why nobody is counted: see the table in README.md. */
export type Problem =
  | "no-player"
  | "no-connection"
  | "youtube-waiting"
  | "youtube-playing"
  | "youtube-blocked"
  | `youtube-error-${number}`;

/**
 * Begins to count a player: a media element (whatever feeds it: hls.js, dash.js, Shaka, Video.js), a YouTube player or the
 * iframe of one, or one that the page describes. Never throws; undefined if it is no player, the console says why.
 */
export function watch(
  player: HTMLMediaElement | HTMLIFrameElement | YouTubePlayer | Player,
  options: Options,
): Watching | undefined;

export interface Streamcount {
  watch: typeof watch;
  /** The script tag's own. */
  watching: Watching | null;
  problem: Problem | null;
}

declare global {
  var streamcount: Streamcount;
}
