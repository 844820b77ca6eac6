// Players of every kind, typed; tests/test_embed_package.py compiles this in strict mode.
import { watch, type Player, type Watching } from "streamcount";

const server = "https://count.example.org";

/** A media element, whatever feeds it. */
export const video = watch(document.querySelector("video")!, { event: "lesson", server });

/** A YouTube iframe as it is pasted. */
export const tube = watch(document.querySelector("iframe")!, { event: "lesson", stream: "sign", server });

/** A player of another kind, in five lines. */
declare const mine: { playing: boolean; time: number; volume: number; on(names: string, action: () => void): void };
const player: Player = {
  name: "mine",
  read: () => ({ state: mine.playing ? "playing" : "paused", position: mine.time, muted: mine.volume === 0 }),
  onchange: (changed) => mine.on("play pause", changed),
};
export const other = watch(player, { event: "lesson", server, token: "as the organiser gave it" });

/** What a page may show of it. */
export function shown(watching: Watching | undefined): string {
  const { problem } = window.streamcount;
  if (problem !== null) return `not counted: ${problem}`;
  if (watching?.error) return `${watching.error.code}: ${watching.error.message}`;
  const ack = watching?.lastAck;
  return ack && !ack.uncertain ? `counted, with ${ack.live - 1} others, in second ${ack.tick}` : "not counted yet";
}
