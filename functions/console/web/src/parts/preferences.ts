// What a person likes, in this browser.

import { signal } from "@preact/signals";
import { recall, remember } from "./memory";

const SHORTCUTS = "adflight-shortcuts";
const DENSITY = "adflight-density";
const COLUMNS = "adflight-columns";

/** Whether single keys act. */
export const shortcutsOn = signal(recall(SHORTCUTS) !== "off");

/** Whether rows have one line, or a second one with the change below each number. */
export const dense = signal(recall(DENSITY) === "compact");

/** The columns that the person has chosen last, as the address has them. */
export const ownColumns = signal(recall(COLUMNS) ?? undefined);

/** Whether the list of keys is shown. */
export const helpOpen = signal(false);

export function toggleShortcuts(): void {
  shortcutsOn.value = !shortcutsOn.value;
  remember(SHORTCUTS, shortcutsOn.value ? "on" : "off");
}

export function rememberColumns(columns: string): void {
  ownColumns.value = columns;
  remember(COLUMNS, columns);
}

export function toggleDensity(): void {
  dense.value = !dense.value;
  remember(DENSITY, dense.value ? "compact" : "comfortable");
}
