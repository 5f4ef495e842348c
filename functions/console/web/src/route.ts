// The address is the view: what a person sees follows from it, and a copied link shows the same.

import { computed, signal } from "@preact/signals";

const current = signal(new URL(location.href));

// Other parameters are no other path.
const pathname = computed(() => current.value.pathname);

/** The path's parts, decoded. */
export const path = computed(() => pathname.value.split("/").filter(Boolean).map(decoded));

/** Decodes a part of an address; one that is cut stays as it is. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The view's parameters. */
export const params = computed(() => current.value.searchParams);

const read = () => (current.value = new URL(location.href));
addEventListener("popstate", read);

/** Goes to an address of the console. */
export function navigate(to: string, { replace = false } = {}): void {
  const before = current.peek().pathname;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  read();
  // A new page begins at its top, and screen readers with it.
  if (current.peek().pathname === before) return;
  scrollTo(0, 0);
  document.getElementById("content")?.focus({ preventScroll: true });
}

/** Returns the present address with other parameters. One without a value is left out. */
export function withParams(changes: Record<string, string | undefined>): string {
  const next = new URLSearchParams(params.peek());
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") next.delete(name);
    else next.set(name, value);
  }
  // Commas are allowed in a query, and a link is easier to read with them.
  const text = next.toString().replaceAll("%2C", ",");
  return current.peek().pathname + (text && `?${text}`);
}

/** Changes parameters: a filter replaces the entry of the history, a new range or level pushes one. */
export function setParams(changes: Record<string, string | undefined>, { push = false } = {}): void {
  navigate(withParams(changes), { replace: !push });
}

/** Follows the links of the page without loading it anew. */
export function interceptLinks(): void {
  document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest?.("a");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
    const to = new URL(link.href);
    if (to.origin !== location.origin || to.pathname.startsWith("/v1/") || to.pathname.startsWith("/assets/")) return;
    event.preventDefault();
    navigate(to.href.slice(location.origin.length));
  });
}
