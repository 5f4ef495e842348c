// The small pictures of ads. They are read for the rows that somebody sees, many with one request, and kept while the page is open.

import { signal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, answer, Problem } from "../api";
import { accountPath } from "../store";

/** Pictures by ad; without text while unknown, and with none where there is no picture. */
const pictures = new Map<string, Signal<string | undefined>>();
/** Ads that are on the page and whose pictures are not here yet, by ad account. */
const wanted = new Map<string, Set<string>>();
/** Until when nothing is asked for an ad account. */
const pausedUntil = new Map<string, number>();

/** Ads of one request. */
const AT_ONCE = 50;
/** Milliseconds in which rows gather for a request. */
const GATHER_MS = 150;
/** Milliseconds for which nothing is asked for an ad account whose pictures were refused without saying for how long. */
const PAUSE_MS = 300_000;
/** Pictures that are kept. */
const KEPT = 2000;

let timer: ReturnType<typeof setTimeout> | undefined;
let isReading = false;

/** Reads on as soon as an ad account may be asked for. */
function readSoon(): void {
  if (isReading) return;
  clearTimeout(timer);
  const open = [...wanted].filter(([, ads]) => ads.size > 0).map(([account]) => Math.max(GATHER_MS, (pausedUntil.get(account) ?? 0) - performance.now()));
  if (open.length > 0) timer = setTimeout(() => void read(), Math.min(...open));
}

async function read(): Promise<void> {
  const now = performance.now();
  const next = [...wanted].find(([account, ads]) => ads.size > 0 && (pausedUntil.get(account) ?? 0) <= now);
  if (!next) return readSoon();
  const [account, ads] = next;
  const ids = [...ads].slice(0, AT_ONCE);
  isReading = true;
  try {
    const { path } = accountPath(account);
    const { data, failed = [] } = await answer(api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/thumbnails", { params: { path, query: { ids } } }));
    const found = new Map(data.map(({ id, image }) => [id, image]));
    for (const id of ids) {
      ads.delete(id);
      // What could not be read is asked for again when its row is seen again.
      if (!failed.includes(id)) pictureOf(id).value = found.get(id) ?? "";
    }
  } catch (error) {
    // A row can do without its picture.
    const seconds = error instanceof Problem ? error.retryAfter : undefined;
    pausedUntil.set(account, performance.now() + (seconds === undefined ? PAUSE_MS : seconds * 1000));
  }
  isReading = false;
  readSoon();
}

function pictureOf(ad: string): Signal<string | undefined> {
  let picture = pictures.get(ad);
  if (!picture) {
    const [oldest] = pictures.keys();
    if (pictures.size >= KEPT && oldest !== undefined) pictures.delete(oldest);
    pictures.set(ad, (picture = signal(undefined)));
  }
  return picture;
}

export function Thumbnail({ account, ad }: { account: string; ad: string }) {
  const picture = pictureOf(ad).value;
  const isMissing = picture === undefined;
  useEffect(() => {
    if (!isMissing) return;
    const ads = wanted.get(account) ?? new Set();
    wanted.set(account, ads.add(ad));
    readSoon();
    // Rows that were scrolled by are not asked for.
    return () => void ads.delete(ad);
  }, [account, ad, isMissing]);
  return <span class="thumbnail">{picture && <img src={picture} alt="" />}</span>;
}
