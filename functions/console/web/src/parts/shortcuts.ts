// Keys of the whole console. None acts while somebody types, and all can be switched off.

import { signal } from "@preact/signals";
import { currentPeriod } from "../period";
import { navigate } from "../route";
import { adAccount } from "../store";
import { openPalette } from "./palette";
import { movePeriod, toggleCompare } from "./range";
import { entries } from "./shell";
import { undoLast } from "./toast";

const KEY = "adflight-shortcuts";

/** Whether keys act at all. */
export const shortcutsOn = signal(localStorage.getItem(KEY) !== "off");

/** Whether the list of keys is shown. */
export const helpOpen = signal(false);

/** Rows of two lines, with the change below each number, or of one. */
export const dense = signal(localStorage.getItem("adflight-density") === "compact");

export const toggleDensity = (): void => {
  dense.value = !dense.value;
  localStorage.setItem("adflight-density", dense.value ? "compact" : "comfortable");
};

export function toggleShortcuts(): void {
  shortcutsOn.value = !shortcutsOn.value;
  localStorage.setItem(KEY, shortcutsOn.value ? "on" : "off");
}

export const KEYS: [string, string][] = [
  ["Ctrl K", "Search or run a command"],
  ["/", "Find in the table"],
  ["g then o c r n m a s", "Go to Overview, Campaigns, Rules, Connections, Members, Audit log, Settings"],
  ["j k ↑ ↓ Home End", "Move in the table"],
  ["x, Shift x", "Select a row, or all rows up to it"],
  ["Enter", "Open the row"],
  ["e", "Change the budget"],
  ["p", "Pause or activate"],
  ["z", "Undo the last change"],
  ["← →", "The period before or after"],
  ["c", "Compare with the period before"],
  ["d", "Rows with one line or two"],
  ["?", "This list"],
];

const SEQUENCE_MS = 1200;

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.matches("input:not([type=checkbox]), select, textarea") || target.isContentEditable);

/** Listens to keys until the returned function is called. */
export function startShortcuts(): () => void {
  let goUntil = 0;
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      openPalette();
      return;
    }
    const inDialog = document.querySelector("dialog[open]") !== null;
    if (!shortcutsOn.value || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target) || inDialog) return;
    if (goUntil > event.timeStamp) {
      goUntil = 0;
      const entry = entries().find(({ key }) => key === event.key);
      if (entry) event.preventDefault(), navigate(entry.href);
      return;
    }
    const timezone = adAccount.value?.timezone;
    const actions: Record<string, () => void> = {
      g: () => (goUntil = event.timeStamp + SEQUENCE_MS),
      "/": () => document.querySelector<HTMLInputElement>("[data-find]")?.focus(),
      "?": () => (helpOpen.value = true),
      z: undoLast,
      c: toggleCompare,
      d: toggleDensity,
      ArrowLeft: () => timezone && movePeriod(currentPeriod(timezone), timezone, -1),
      ArrowRight: () => timezone && movePeriod(currentPeriod(timezone), timezone, 1),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };
  addEventListener("keydown", onKeyDown);
  return () => removeEventListener("keydown", onKeyDown);
}
