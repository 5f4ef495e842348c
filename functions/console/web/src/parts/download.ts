// Files for spreadsheets: the API writes those of numbers, a table of the page writes its own.

import { api, answer } from "../api";
import { accountPath, nameOf, type AdAccount } from "../store";
import type { Level } from "../campaigns/levels";
import { notify } from "./toast";

/** Milliseconds that a browser has to begin a download. */
const DOWNLOAD_MS = 60_000;
/** Rows of a file that a page writes, at most. */
const MAX_ROWS = 20_000;

function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), DOWNLOAD_MS);
}

const fileName = (...parts: string[]) => `${parts.join(" ").replace(/[^\p{L}\p{N} _.-]/gu, "")}.csv`;

/** Saves the numbers of a level as the API writes them for spreadsheets. */
export async function download(account: AdAccount, query: { level: Level; since: string; until: string }): Promise<void> {
  try {
    // As bytes: a text would lose the mark by which a spreadsheet knows the encoding.
    const content = await answer(api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/insights.csv", {
      params: { ...accountPath(account.id), query: { ...query, spreadsheet: true } }, parseAs: "blob",
    }));
    save(content as unknown as Blob, fileName(nameOf(account), `${query.level}s`, query.since, query.until));
  } catch (error) {
    notify(`The file could not be made: ${(error as Error).message}`, { tone: "bad" });
  }
}

type Cell = string | number | undefined;

/** Writes a cell. What a spreadsheet would run as a formula gets an apostrophe, and a long number is kept whole. */
function cellText(value: Cell): string {
  const text = String(value ?? "");
  const isNumber = /^-?\d+(\.\d+)?$/.test(text);
  const safe = isNumber && text.length > 15 ? `="${text}"` : !isNumber && /^[=+\-@\t\r\uff0b\uff0d\uff1d\uff20]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Saves every row of a list, page by page, with its head. */
export async function saveList<T>(name: string, head: string[], page: (after: string | undefined) => Promise<{ data: T[]; after?: string }>, cells: (rows: T[]) => Cell[][]): Promise<void> {
  try {
    const all: T[] = [];
    let after: string | undefined;
    do {
      const found = await page(after);
      all.push(...found.data);
      after = found.after;
    } while (after && all.length < MAX_ROWS);
    const text = [head, ...cells(all)].map((row) => row.map(cellText).join(",")).join("\r\n");
    save(new Blob([`\ufeff${text}\r\n`], { type: "text/csv;charset=utf-8" }), fileName(name));
    if (after) notify(`The file has the newest ${all.length} rows; there are more.`);
  } catch (error) {
    notify(`The file could not be made: ${(error as Error).message}`, { tone: "bad" });
  }
}
