// Files for spreadsheets: the API writes those of numbers, a table of the page writes its own.

import { api, answer } from "../api";
import { accountPath, nameOf, type AdAccount } from "../store";
import type { Level } from "../campaigns/levels";
import { notify } from "./toast";

function save(text: string, name: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  URL.revokeObjectURL(url);
}

const fileName = (...parts: string[]) => `${parts.join(" ").replace(/[^\p{L}\p{N} _.-]/gu, "")}.csv`;

/** Saves the numbers of a level as the API writes them for spreadsheets. */
export async function download(account: AdAccount, query: { level: Level; since: string; until: string }): Promise<void> {
  try {
    const text = await answer(api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/insights.csv", {
      params: { ...accountPath(account.id), query: { ...query, spreadsheet: true } }, parseAs: "text",
    }));
    save(text as string, fileName(nameOf(account), `${query.level}s`, query.since, query.until));
  } catch (error) {
    notify(`The file could not be made: ${(error as Error).message}`, { tone: "bad" });
  }
}

/** Saves rows of texts. What a spreadsheet would run as a formula gets an apostrophe. */
export function saveRows(name: string, rows: (string | number | undefined)[][]): void {
  const cell = (value: string | number | undefined) => {
    const text = String(value ?? "");
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  save(`\ufeff${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`, fileName(name));
}
