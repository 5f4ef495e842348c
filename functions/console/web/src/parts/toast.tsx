// What was done, with a way back: the object, the old value and the new one.

import { signal } from "@preact/signals";
import { Icon } from "./icons";

interface Toast {
  id: number;
  text: string;
  tone: "done" | "bad";
  undo: (() => void) | undefined;
}

const toasts = signal<Toast[]>([]);
/** The sentence that screen readers say. */
const announced = signal("");
let last = 0;

const UNDO_MS = 10_000;
/** Toasts that are shown at most; the oldest make room. */
const MAX_TOASTS = 4;

const remove = (id: number) => (toasts.value = toasts.value.filter((toast) => toast.id !== id));

/** Says that something was done, or was not. With `undo` it can be taken back for ten seconds. */
export function notify(text: string, { tone = "done", undo }: { tone?: "done" | "bad"; undo?: () => void } = {}): void {
  const id = (last += 1);
  toasts.value = [...toasts.value.slice(1 - MAX_TOASTS), { id, text, tone, undo }];
  announced.value = text;
  // A failure stays until somebody has read it.
  if (tone === "done") setTimeout(() => remove(id), UNDO_MS);
}

/** Takes back the last change, where that is still possible. */
export function undoLast(): void {
  const toast = toasts.value.findLast(({ undo }) => undo);
  if (!toast) return;
  remove(toast.id);
  toast.undo?.();
}

export function Toasts() {
  return (
    <>
      <div class="toasts">
        {toasts.value.map(({ id, text, tone, undo }) => (
          <div class={`toast ${tone}`} key={id} role={tone === "bad" ? "alert" : undefined}>
            <span>{text}</span>
            {undo && <button type="button" class="button" onClick={() => (remove(id), undo())}>Undo</button>}
            <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => remove(id)}><Icon name="close" /></button>
          </div>
        ))}
      </div>
      <div class="unseen" role="status" aria-live="polite">{announced.value}</div>
    </>
  );
}
