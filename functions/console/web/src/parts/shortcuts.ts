// Keys of the whole console. None acts while somebody types, and all can be switched off.

import { currentPeriod } from "../period";
import { navigate } from "../route";
import { adAccount } from "../store";
import { openPalette } from "./palette";
import { helpOpen, shortcutsOn, toggleDensity } from "./preferences";
import { movePeriod, toggleCompare } from "./range";
import { entries } from "./entries";
import { undoLast } from "./toast";

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
    const inDialog = document.querySelector("dialog[open], :popover-open") !== null;
    // Arrows scroll what scrolls, and mean nothing where no period is shown.
    const isArrow = event.key === "ArrowLeft" || event.key === "ArrowRight";
    if (isArrow && ((event.target as Element).closest?.("[role=region]") || !document.querySelector(".range"))) return;
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
