// What a view reads, with the states that a person sees: loading, here, reloading, failed.

import { useEffect, useRef, useState } from "preact/hooks";
import { Offline, Problem } from "./api";
import { live } from "./network";

export interface Resource<T> {
  /** The last that was read; it stays while it is read again. */
  data: T | undefined;
  error: Error | undefined;
  loading: boolean;
  /** Reads it again now. */
  reload: () => void;
}

interface Options<T> {
  /** Milliseconds after which it is read again; by what was read, if it depends on it. */
  every?: number | ((data: T) => number | undefined) | undefined;
  /** What it shows: changes of it are read soon after live events say so, such as `metrics:act_1`. */
  shows?: string[];
}

interface Mounted {
  key: string;
  shows: string[];
  reload: () => Promise<void>;
  /** Reads it again soon. */
  touch: () => void;
}

/** Resources that are on the page. */
const mounted = new Set<Mounted>();

/** Says that something has changed: what shows it is read again soon. */
export function stale(changed: ReadonlySet<string>): void {
  for (const { shows, touch } of mounted) if (shows.some((one) => changed.has(one))) touch();
}

/** Says that anything may have changed. */
export function staleAll(): void {
  for (const { shows, touch } of mounted) if (shows.length > 0) touch();
}

/** Reads everything again whose key begins like this. Resolves when it is here. */
export async function invalidate(prefix: string): Promise<void> {
  await Promise.all([...mounted].filter(({ key }) => key.startsWith(prefix)).map(({ reload }) => reload()));
}

/** Milliseconds between readings that live events cause, at least. */
const LIVE_MS = 3000;
/** And at most so many times longer, by chance, so that the pages of a team do not all ask at once. */
const LIVE_SPREAD = 0.5;
/** Milliseconds between looks at whether somebody sees the page. */
const HIDDEN_MS = 1000;
/** And how many times as long as the last reading took, so that long ones leave time for others. */
const LIVE_SHARE = 4;
/** Milliseconds after which it is read again to be sure, where live events say what changed. */
const SURE_MS = 60_000;
/** Milliseconds below which something is read so often because it moves: that stays. */
const MOVING_MS = 10_000;
/** Milliseconds until another try, where the API is out of reach. */
const OFFLINE_MS = 2000;
/** Milliseconds until another try of what is read regularly, after any other failure that says no time itself. */
const RETRY_MS = 20_000;

/**
 * Reads what `key` names by `load`, which may show parts of it as they come. Without a key nothing is read. With another
 * key what was read stays until the new is here, unless `keep` is false; after a failure it goes.
 */
export function useResource<T>(
  key: string | undefined,
  load: (signal: AbortSignal, emit: (part: T) => void) => Promise<T>,
  { every, shows = [], keep = true }: Options<T> & { keep?: boolean } = {},
): Resource<T> {
  const [state, setState] = useState<{ key?: string; data?: T; error?: Error; loading: boolean }>({ loading: true });
  const running = useRef<AbortController>(undefined);
  const loader = useRef(load);
  loader.current = load;
  const period = useRef(every);
  period.current = every;
  const showing = useRef(shows);
  showing.current = shows;

  const run = useRef<(quiet: boolean) => void>(() => {});
  useEffect(() => {
    if (key === undefined) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let dueAt = Infinity;
    const schedule = (ms: number | undefined) => {
      clearTimeout(timer);
      dueAt = ms === undefined ? Infinity : performance.now() + ms;
      if (ms !== undefined) timer = setTimeout(() => (document.hidden ? schedule(Math.max(ms, HIDDEN_MS)) : void read(true)), ms);
    };
    // What was read whole is not replaced by a part of the next reading.
    let isWhole = false;
    let [isReading, isTouched, readyAt] = [false, false, 0];
    const touch = () => {
      isTouched = true;
      const at = Math.max(readyAt, performance.now());
      // What is read sooner anyway stays so.
      if (!isReading && at < dueAt) schedule(at - performance.now());
    };
    /** Goes on after a reading: the next is in `ms`, or in `rest` if something changes. */
    const settle = (ms: number | undefined, rest: number) => {
      [isReading, readyAt] = [false, performance.now() + rest];
      schedule(ms);
      if (isTouched) touch();
    };
    const read = (quiet: boolean): Promise<void> => {
      clearTimeout(timer);
      [isReading, isTouched] = [true, false];
      const began = performance.now();
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      if (!quiet) setState((before) => (before.key === key || keep ? { ...before, loading: true } : { loading: true }));
      const emit = (part: T) => isWhole || controller.signal.aborted || setState({ key, data: part, loading: true });
      return loader.current(controller.signal, emit).then(
        (data) => {
          if (controller.signal.aborted) return;
          isWhole = true;
          setState({ key, data, loading: false });
          const ms = typeof period.current === "function" ? period.current(data) : period.current;
          const isTold = showing.current.length > 0 && ["live", "delayed"].includes(live.value);
          const rest = Math.max(LIVE_MS, LIVE_SHARE * (performance.now() - began)) * (1 + LIVE_SPREAD * Math.random());
          settle(isTold && ms !== undefined && ms >= MOVING_MS ? Math.max(ms, SURE_MS) : ms, rest);
        },
        (error: unknown) => {
          if (controller.signal.aborted) return;
          const failure = error instanceof Error ? error : new Error(String(error));
          setState((before) => ({ ...(before.key === key && before), key, error: failure, loading: false }));
          const wait = failure instanceof Problem && failure.retryAfter !== undefined ? failure.retryAfter * 1000 : RETRY_MS;
          settle(failure instanceof Offline ? OFFLINE_MS : period.current === undefined ? undefined : wait, wait);
        },
      );
    };
    run.current = (quiet) => void read(quiet);
    const entry = { key, get shows() { return showing.current; }, reload: () => read(true), touch };
    mounted.add(entry);
    void read(false);
    return () => {
      mounted.delete(entry);
      clearTimeout(timer);
      running.current?.abort();
    };
  }, [key]);

  const shown = state.key === key || keep ? state.data : undefined;
  return {
    data: shown,
    error: state.key === key ? state.error : undefined,
    loading: key !== undefined && (state.loading || state.key !== key),
    reload: () => run.current(false),
  };
}
