// What a view reads, with the states that a person sees: loading, here, reloading, failed.

import { useEffect, useRef, useState } from "preact/hooks";
import {  } from "./api";
import { offline } from "./network";

export interface Resource<T> {
  /** The last that was read; it stays while it is read again. */
  data: T | undefined;
  error: Error | undefined;
  loading: boolean;
  /** Reads it again now. */
  reload: () => void;
  /** Replaces what was read, such as by what a write answered. */
  patch: (change: (data: T) => T) => void;
}

interface Options<T> {
  /** Milliseconds after which it is read again; by what was read, if it depends on it. */
  every?: number | ((data: T) => number | undefined) | undefined;
}

/** Resources that a change elsewhere makes stale, by the first words of their keys. */
const mounted = new Set<{ key: string; reload: () => void }>();

/** Reads everything again whose key begins like this. */
export function invalidate(prefix: string): void {
  for (const { key, reload } of mounted) if (key.startsWith(prefix)) reload();
}

/** Milliseconds until another try, where the API is out of reach. */
const RETRY_MS = 2000;

/**
 * Reads what `key` names by `load`, which may show parts of it as they come. Without a key nothing is read. What another key names is never shown in its place,
 * unless `keep` says that the old one may stay until the new one is here.
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
      if (ms !== undefined) timer = setTimeout(() => (document.hidden ? schedule(ms) : read(true)), ms);
    };
    const read = (quiet: boolean) => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      if (!quiet) setState((before) => (before.key === key || keep ? { ...before, loading: true } : { loading: true }));
      const emit = (part: T) => controller.signal.aborted || setState({ key, data: part, loading: true });
      loader.current(controller.signal, emit).then(
        (data) => {
          if (controller.signal.aborted) return;
          setState({ key, data, loading: false });
          schedule(typeof period.current === "function" ? period.current(data) : period.current);
        },
        (error: unknown) => {
          if (controller.signal.aborted) return;
          const failure = error instanceof Error ? error : new Error(String(error));
          setState((before) => ({ ...before, key, error: failure, loading: false }));
          schedule(offline.value ? RETRY_MS : typeof period.current === "number" ? period.current : undefined);
        },
      );
    };
    run.current = read;
    const entry = { key, reload: () => read(true) };
    mounted.add(entry);
    read(false);
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
    patch: (change) => setState((before) => (before.data === undefined ? before : { ...before, data: change(before.data) })),
  };
}
