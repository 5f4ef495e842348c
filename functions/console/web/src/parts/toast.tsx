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

const SECONDS = 10;

const remove = (id: number) => (toasts.value = toasts.value.filter((toast) => toast.id !== id));

/** Says that something was done, or was not. With `undo` it can be taken back for ten seconds. */
export function notify(text: string, { tone = "done", undo }: { tone?: "done" | "bad"; undo?: () => void } = {}): void {
  const id = (last += 1);
  // One undo at a time: `z` takes back the last.
  const others = toasts.value.filter((toast) => !(undo && toast.undo)).slice(-2);
  toasts.value = [...others, { id, text, tone, undo }];
  announced.value = text;
  setTimeout(() => remove(id), SECONDS * 1000);
}

/** Says something to screen readers alone. */
export const announce = (text: string): void => void (announced.value = text);

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
