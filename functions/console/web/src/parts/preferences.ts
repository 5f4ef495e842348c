// What a person likes, in this browser.

import { signal } from "@preact/signals";

const SHORTCUTS = "adflight-shortcuts";
const DENSITY = "adflight-density";
const COLUMNS = "adflight-columns";

/** Whether single keys act. */
export const shortcutsOn = signal(localStorage.getItem(SHORTCUTS) !== "off");

/** Whether rows have one line, or a second one with the change below each number. */
export const dense = signal(localStorage.getItem(DENSITY) === "compact");

/** The columns that the person has chosen last, as the address has them. */
export const ownColumns = signal(localStorage.getItem(COLUMNS) ?? undefined);

/** Whether the list of keys is shown. */
export const helpOpen = signal(false);

export function toggleShortcuts(): void {
  shortcutsOn.value = !shortcutsOn.value;
  localStorage.setItem(SHORTCUTS, shortcutsOn.value ? "on" : "off");
}

export function rememberColumns(columns: string): void {
  ownColumns.value = columns;
  localStorage.setItem(COLUMNS, columns);
}

export function toggleDensity(): void {
  dense.value = !dense.value;
  localStorage.setItem(DENSITY, dense.value ? "compact" : "comfortable");
}
