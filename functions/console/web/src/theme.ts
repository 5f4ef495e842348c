// Light or dark: as the system has it, unless a person chose.

import { computed, effect, signal } from "@preact/signals";
import { recall, remember } from "./parts/memory";

const KEY = "adflight-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const system = signal(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => (system.value = dark.matches ? "dark" : "light"));

const chosen = signal(read());

/** The theme that is shown. */
export const theme = computed(() => chosen.value ?? system.value);

function read(): string | null {
  const asked = new URLSearchParams(location.search).get("theme");
  return asked === "dark" || asked === "light" ? asked : recall(KEY);
}

/** Shows the other theme, and remembers it unless it is the system's own. */
export function toggleTheme(): void {
  const next = theme.value === "dark" ? "light" : "dark";
  chosen.value = next === system.value ? null : next;
  remember(KEY, chosen.value);
}

effect(() => {
  if (chosen.value) document.documentElement.dataset["theme"] = chosen.value;
  else delete document.documentElement.dataset["theme"];
});
