// The small pictures of ads. They are read for the rows that somebody sees, many with one request, and kept while the page is open.

import { signal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, answer, Problem } from "../api";
import { accountPath } from "../store";

/** Pictures by ad; without text while unknown, and with none where there is no picture. */
const pictures = new Map<string, Signal<string | undefined>>();
/** Ads that are on the page and whose pictures are not here yet, by ad account. */
const wanted = new Map<string, Set<string>>();

/** Ads of one request. */
const AT_ONCE = 50;
/** Milliseconds in which rows gather for a request. */
const GATHER_MS = 150;
/** Milliseconds after which pictures that were refused are asked for again. */
const RETRY_MS = 60_000;
/** Pictures that are kept. */
const KEPT = 2000;

let timer: ReturnType<typeof setTimeout> | undefined;
let isReading = false;

function readSoon(ms: number): void {
  if (timer === undefined && !isReading) timer = setTimeout(() => void read(), ms);
}

async function read(): Promise<void> {
  timer = undefined;
  const next = [...wanted].find(([, ads]) => ads.size > 0);
  if (!next) return;
  const [account, ads] = next;
  const ids = [...ads].slice(0, AT_ONCE);
  isReading = true;
  let wait = 0;
  try {
    const { path } = accountPath(account);
    const { data } = await answer(api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/thumbnails", { params: { path, query: { ids } } }));
    const found = new Map(data.map(({ id, image }) => [id, image]));
    for (const id of ids) {
      pictureOf(id).value = found.get(id) ?? "";
      ads.delete(id);
    }
  } catch (error) {
    // A row can do without its picture.
    wait = error instanceof Problem && error.retryAfter !== undefined ? error.retryAfter * 1000 : RETRY_MS;
  }
  isReading = false;
  readSoon(wait);
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
    readSoon(GATHER_MS);
    // Rows that were scrolled by are not asked for.
    return () => void ads.delete(ad);
  }, [account, ad, isMissing]);
  return <span class="thumbnail">{picture && <img src={picture} alt="" />}</span>;
}
