// What stands in place of data: why there is none, and what to do.

import type { ComponentChildren } from "preact";
import { Offline, Problem } from "../api";
import { Icon } from "./icons";

/** Says what failed, in place of the part that did. The rest of the page works. */
export function Failure({ error, retry, what }: { error: Error; retry?: () => void; what: string }) {
  // The banner of the page says it once.
  if (error instanceof Offline) return null;
  const correlation = error instanceof Problem ? error.correlation : undefined;
  return (
    <div class="banner bad" role="alert">
      <Icon name="warning" />
      <div>
        <strong>{what}</strong> {error.message}
        {correlation && <span class="fine"> Reference <code>{correlation}</code></span>}
      </div>
      {retry && <button type="button" class="button" onClick={retry}>Try again</button>}
    </div>
  );
}

export function Banner({ tone, children }: { tone: "warning" | "bad" | "note"; children: ComponentChildren }) {
  return (
    <div class={`banner ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon name="warning" />
      <div>{children}</div>
    </div>
  );
}

/** Says why there is nothing, with the one thing to do about it. */
export function Empty({ title, children, action }: { title: string; children?: ComponentChildren; action?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {action}
    </div>
  );
}

/** Lines of the size of what is loading. They show after a moment, so that what is fast does not flicker. */
export function Skeleton({ lines = 3, height = 32 }: { lines?: number; height?: number }) {
  return (
    <div class="skeleton" aria-hidden="true">
      {Array.from({ length: lines }, (_, index) => <span key={index} style={{ height: `${height}px` }} />)}
    </div>
  );
}
