// What changes elsewhere shows by itself: live events of the workspace say what changed, and views that show it are read
// again. They come over a socket; where there is none, by requests that wait. The API has every event, so what a socket
// misses is read.

import { api, answer, Offline, Problem, type Schemas } from "./api";
import { live } from "./network";
import { stale, staleAll } from "./resource";

type LiveEvent = Schemas["LiveEvent"];

/** Milliseconds in which events are collected before views are read again. */
const BATCH_MS = 50;
const PING_MS = 20_000;
/** Milliseconds without a word after which a socket counts as dead. */
const SILENCE_MS = 2 * PING_MS + 5000;
/** Bytes after which the hub hears what was seen: it closes a socket at four times as many. */
const SEEN_BYTES = 16_000;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
/** Milliseconds alike while the API is out of reach, which somebody may be looking at. */
const OFFLINE_WAIT_MS = 3000;
/** Milliseconds after which views may have been read before the first event that is known. */
const UNSEEN_MS = 1000;
/** Milliseconds within which a socket opens. */
const OPENING_MS = 10_000;
/** Milliseconds that a socket lives at least, if it is not a failure. */
const LIVED_MS = 10_000;
/** Milliseconds without an event after which the API is asked, too: the hub may not have been told. */
const SURE_MS = 60_000;
/** Sockets in a row that failed after which events are asked for. */
const FAILED_SOCKETS = 2;
/** Milliseconds until a socket is tried again meanwhile. */
const SOCKET_AGAIN_MS = 60_000;
/** Milliseconds after which a page that nobody sees stops listening. It catches up when somebody does. */
const HIDDEN_MS = 5 * 60_000;
/** Seconds that a request for events may wait. */
const WAIT_SECONDS = 20;
/** The hub closes a socket of that age: its page needs another ticket. */
const AGED = 4000;

/** Follows what changes in a workspace until the signal aborts. Views were read from `since` on. */
export async function follow(workspace: string, since: number, abort: AbortSignal): Promise<void> {
  const events = new Events(workspace, abort);
  let failed = 0;
  let wait = FIRST_WAIT_MS;
  let socketAgainAt = 0;
  let wasOffline = false;
  while (!abort.aborted) {
    try {
      const isFirst = !events.hasBegun();
      await events.catchUp();
      // What changed before the first event that is known; and whoever was away may have changed more than it said.
      if (wasOffline || (isFirst && performance.now() - since > UNSEEN_MS)) staleAll();
      wasOffline = false;
      await shown(abort);
      if (failed < FAILED_SOCKETS || performance.now() >= socketAgainAt) {
        const url = await ticket(workspace, abort);
        const how = url === undefined ? undefined : await events.listen(url);
        // One that was open for its time, or that nobody saw, is not missed; any other may be a hub that restarts.
        if (how === "done") continue;
        live.value = "delayed";
        if (how === "cut") [failed, wait] = [0, FIRST_WAIT_MS];
        else failed = url === undefined ? FAILED_SOCKETS : failed + 1;
        if (failed >= FAILED_SOCKETS) socketAgainAt = performance.now() + SOCKET_AGAIN_MS;
      }
      while (failed >= FAILED_SOCKETS && performance.now() < socketAgainAt && !abort.aborted) {
        await shown(abort);
        const askAgain = await events.ask(WAIT_SECONDS);
        live.value = "delayed";
        await pause(1000 * askAgain, abort);
      }
      if (failed >= FAILED_SOCKETS) continue;
    } catch (error) {
      if (abort.aborted) return;
      live.value = error instanceof Offline ? "offline" : "delayed";
      wasOffline ||= error instanceof Offline;
      if (error instanceof Offline) wait = Math.min(wait, OFFLINE_WAIT_MS);
      if (error instanceof Problem && error.retryAfter) wait = Math.max(wait, error.retryAfter * 1000);
    }
    await pause(wait * (1 + Math.random()), abort);
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  }
}

/** Returns where to open a socket, if the deployment has a hub. */
async function ticket(workspace: string, signal: AbortSignal): Promise<string | undefined> {
  const path = { workspace };
  return (await answer(api.POST("/v1/workspaces/{workspace}/live/tickets", { params: { path }, signal }))).url;
}

class Events {
  /** Id of the last event that was applied. */
  private last: number | undefined;
  private reading: Promise<void> | undefined;
  private isBehind = false;
  private readonly collected = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly workspace: string, private readonly abort: AbortSignal) {}

  hasBegun(): boolean {
    return this.last !== undefined;
  }

  /** Reads all events after the last. At first there are none: views have just been read. */
  catchUp(): Promise<void> {
    this.isBehind = true;
    return (this.reading ??= this.readAll().finally(() => (this.reading = undefined)));
  }

  private async readAll(): Promise<void> {
    while (this.isBehind) {
      this.isBehind = false;
      for (let before: number | undefined = -1; before !== this.last;) {
        before = this.last;
        await this.ask(0);
      }
    }
  }

  /** Reads the next events, or waits for them. Returns the seconds after which to ask again. */
  async ask(wait: number): Promise<number> {
    const query = this.last === undefined ? {} : { after: this.last, ...(wait && { wait }) };
    const { data, latest, missed, ask_again } = await answer(api.GET("/v1/workspaces/{workspace}/events", {
      params: { path: { workspace: this.workspace }, query }, signal: this.abort,
    }));
    // Where none was known, the first begins the count.
    if (this.last === 0 && data[0]) this.last = data[0].id - 1;
    const isWhole = this.take(data);
    if (missed || !isWhole) staleAll();
    if (missed || !isWhole || this.last === undefined) this.last = latest;
    return ask_again;
  }

  /** Listens to a socket until it closes. Returns whether it was open, and whether it did all it should. */
  listen(url: string): Promise<"done" | "cut" | undefined> {
    return new Promise((resolve) => {
      const socket = new WebSocket(url);
      let opened = false;
      let unseen = 0;
      const began = performance.now();
      let heardAt = began;
      let readAt = began;
      let hidden: ReturnType<typeof setTimeout> | undefined;
      const leave = () => {
        socket.close();
        end("done");
      };
      const seen = () => {
        clearTimeout(hidden);
        if (document.hidden) hidden = setTimeout(leave, HIDDEN_MS);
      };
      // What the API does not answer now is read at the next ping; where it is out of reach, before the next socket.
      const read = () => {
        readAt = performance.now();
        this.catchUp().catch((error: unknown) => error instanceof Problem || cut());
      };
      const cut = () => {
        socket.close();
        end(how());
      };
      const how = () => (opened && performance.now() - began > LIVED_MS ? "cut" : undefined);
      const opening = setTimeout(() => opened || cut(), OPENING_MS);
      const ping = setInterval(() => {
        if (performance.now() - heardAt > SILENCE_MS) cut();
        else if (opened) socket.send("ping");
      }, PING_MS);
      const end = (how: "done" | "cut" | undefined) => {
        clearInterval(ping);
        clearTimeout(opening);
        clearTimeout(hidden);
        document.removeEventListener("visibilitychange", seen);
        this.abort.removeEventListener("abort", leave);
        // A socket that hangs closes much later. What it says until then does not count.
        socket.onmessage = socket.onclose = null;
        resolve(how);
      };
      document.addEventListener("visibilitychange", seen);
      this.abort.addEventListener("abort", leave);
      seen();
      socket.onmessage = ({ data }: MessageEvent<string>) => {
        heardAt = performance.now();
        const message = JSON.parse(data) as { latest?: number; events?: LiveEvent[] };
        if (message.latest !== undefined) {
          // Between the last reading and this moment the hub did not know of this page.
          if (!opened || message.latest > (this.last ?? 0) || performance.now() - readAt > SURE_MS) read();
          opened = true;
          live.value = "live";
        }
        if (!this.take(message.events ?? [])) read();
        unseen += data.length;
        if (unseen > SEEN_BYTES) {
          socket.send(JSON.stringify({ seen: this.last }));
          unseen = 0;
        }
      };
      socket.onclose = ({ code }) => end(code === AGED ? "done" : how());
    });
  }

  /** Applies the events that follow on the last. Returns whether all do: if not, some are missing. */
  private take(events: LiveEvent[]): boolean {
    for (const event of events) {
      const next = (this.last ?? 0) + 1;
      if (event.id > next) return false;
      if (event.id < next) continue;
      this.last = event.id;
      this.collect(event);
    }
    return true;
  }

  private collect({ changed }: LiveEvent): void {
    for (const one of changed) {
      this.collected.add(one.type);
      if ("ad_account" in one) this.collected.add(`${one.type}:${one.ad_account}`);
      if ("rule" in one) this.collected.add(`${one.type}:${one.rule}`);
    }
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      stale(this.collected);
      this.collected.clear();
    }, BATCH_MS);
  }
}

/** Waits until somebody sees the page. */
async function shown(abort: AbortSignal): Promise<void> {
  while (document.hidden && !abort.aborted) await heard(document, "visibilitychange", abort);
}

/** Waits for this time, or until the signal aborts. */
const pause = (ms: number, abort: AbortSignal): Promise<void> => heard(AbortSignal.timeout(ms), "abort", abort);

/** Waits for an event, or until the signal aborts. */
const heard = (target: EventTarget, name: string, abort: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      target.removeEventListener(name, end);
      abort.removeEventListener("abort", end);
      resolve();
    };
    target.addEventListener(name, end);
    abort.addEventListener("abort", end);
    if (abort.aborted) end();
  });
