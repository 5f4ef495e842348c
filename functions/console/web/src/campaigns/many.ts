// Changes of many objects: one request, a preview, a result each, and an undo, all of which the API keeps.

import { api, answer, idempotencyKey, Problem, type Schemas } from "../api";
import { accountPath, type AdAccount } from "../store";
import type { Row } from "./levels";
import { readAgain, showConfirmed, showPending } from "./writes";

export type NewValues = Schemas["NewValues"];
export type Preview = Schemas["BulkPreview"];
export type Bulk = Schemas["BulkView"];
type Changes = Schemas["BulkDocument"]["changes"];

const url = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/bulk-changes" as const;
/** Between two looks at a change that goes on: first and at most. */
const POLL_MS = 400;
const MAX_POLL_MS = 10_000;

/** Returns the same values for rows, level by level. */
export function changesOf(rows: Row[], set: NewValues): Changes {
  const levels = [...new Set(rows.map(({ level }) => level))];
  return levels.map((level) => ({ level, ids: rows.filter((row) => row.level === level).map(({ entity }) => entity.id), set }));
}

/** Returns what changes would do. Throws every mistake. */
export const previewOf = async (account: AdAccount, changes: Changes, signal: AbortSignal): Promise<Preview> =>
  (await answer(api.POST(url, {
    params: { path: accountPath(account.id).path, query: { dry_run: true }, header: { "Idempotency-Key": idempotencyKey() } }, body: { changes }, signal,
  }))) as Preview;

/** Begins changes: those of a preview, if there is one, or none. Returns them when they are done. */
export async function changeMany(account: AdAccount, changes: Changes, preview: string | undefined, progress: (done: number, id: string) => void): Promise<Bulk> {
  const ids = changes.flatMap((change) => change.ids);
  const status = changes[0]?.set.status;
  if (status) showPending(ids, { status });
  try {
    const begun = await answer(api.POST(url, {
      params: { path: accountPath(account.id).path, query: preview ? { preview } : {}, header: { "Idempotency-Key": idempotencyKey() } }, body: { changes },
    }));
    return await follow(account, begun as Bulk, progress);
  } finally {
    showPending(ids, undefined);
    readAgain();
  }
}

/** Gives the objects of a bulk change their values of before. Returns that when it is done. */
export async function undoMany(account: AdAccount, id: string): Promise<Bulk> {
  try {
    const path = { ...accountPath(account.id).path, bulk_change: id };
    const begun = await answer(api.POST(`${url}/{bulk_change}/undo`, { params: { path, header: { "Idempotency-Key": idempotencyKey() } } }));
    return await follow(account, begun, () => {});
  } finally {
    readAgain();
  }
}

/** Leaves what is not changed yet as it is. */
export async function stopMany(account: AdAccount, id: string): Promise<void> {
  const path = { ...accountPath(account.id).path, bulk_change: id };
  await answer(api.POST(`${url}/{bulk_change}/stop`, { params: { path, header: { "Idempotency-Key": idempotencyKey() } } }));
}

async function follow(account: AdAccount, begun: Bulk, progress: (done: number, id: string) => void): Promise<Bulk> {
  for (let pause = POLL_MS; ; pause = Math.min(pause * 1.5, MAX_POLL_MS)) {
    const path = { ...accountPath(account.id).path, bulk_change: begun.id };
    // It goes on whether or not somebody looks: one look that fails is not its end.
    const bulk = await answer(api.GET(`${url}/{bulk_change}`, { params: { path } })).catch((error: unknown) => {
      if (error instanceof Problem && error.status < 500 && error.status !== 429) throw error;
    });
    if (bulk) progress(bulk.counts.objects - bulk.counts.open, begun.id);
    if (bulk?.state === "done") {
      for (const { id, state, after: { name, status, daily_budget } } of bulk.objects ?? []) {
        if (state === "done") showConfirmed(id, { ...(name && { name }), ...(status && { status }), ...(daily_budget && { daily_budget }) });
      }
      return bulk;
    }
    await new Promise((done) => setTimeout(done, pause));
  }
}
