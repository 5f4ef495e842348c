// What a view reads, with the states that a person sees: loading, here, reloading, failed.

import { useEffect, useRef, useState } from "preact/hooks";
import { Offline, Problem } from "./api";

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
}

/** Resources that a change elsewhere makes stale, by the first words of their keys. */
const mounted = new Set<{ key: string; reload: () => Promise<void> }>();

/** Reads everything again whose key begins like this. Resolves when it is here. */
export async function invalidate(prefix: string): Promise<void> {
  await Promise.all([...mounted].filter(({ key }) => key.startsWith(prefix)).map(({ reload }) => reload()));
}

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
  { every, keep = true }: Options<T> & { keep?: boolean } = {},
): Resource<T> {
  const [state, setState] = useState<{ key?: string; data?: T; error?: Error; loading: boolean }>({ loading: true });
  const running = useRef<AbortController>(undefined);
  const loader = useRef(load);
  loader.current = load;
  const period = useRef(every);
  period.current = every;

  const run = useRef<(quiet: boolean) => void>(() => {});
  useEffect(() => {
    if (key === undefined) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const schedule = (ms: number | undefined) => {
      clearTimeout(timer);
      if (ms !== undefined) timer = setTimeout(() => (document.hidden ? schedule(ms) : void read(true)), ms);
    };
    // What was read whole is not replaced by a part of the next reading.
    let isWhole = false;
    const read = (quiet: boolean): Promise<void> => {
      clearTimeout(timer);
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
          schedule(typeof period.current === "function" ? period.current(data) : period.current);
        },
        (error: unknown) => {
          if (controller.signal.aborted) return;
          const failure = error instanceof Error ? error : new Error(String(error));
          setState((before) => ({ ...(before.key === key && before), key, error: failure, loading: false }));
          const wait = failure instanceof Problem && failure.retryAfter !== undefined ? failure.retryAfter * 1000 : RETRY_MS;
          schedule(failure instanceof Offline ? OFFLINE_MS : period.current === undefined ? undefined : wait);
        },
      );
    };
    run.current = (quiet) => void read(quiet);
    const entry = { key, reload: () => read(true) };
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
