// Changes at Meta: each says the object, the old value and the new one, is done once however often it is sent, and can be
// taken back while the object still has the new value.

import { signal } from "@preact/signals";
import { api, answer, idempotencyKey, type Schemas } from "../api";
import { decimal, majorText, words } from "../format";
import { notify } from "../parts/toast";
import { invalidate } from "../resource";
import { accountPath, digitsOf, nameOf, type AdAccount } from "../store";
import { LEVELS, type Entity, type Level } from "./levels";

type Patch = Schemas["Patch"];

export interface Target {
  account: AdAccount;
  level: Level;
  entity: Entity;
}

/** Entities whose change is under way, by id, with what they will be. */
export const pending = signal<ReadonlyMap<string, Patch>>(new Map());

function setPending(id: string, patch: Patch | undefined): void {
  const next = new Map(pending.value);
  if (patch) next.set(id, patch);
  else next.delete(id);
  pending.value = next;
}

const path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}" as const;
// The paths of the three levels take the same, and answer the same.
const at = (level: Level) => path.replace("campaigns", LEVELS[level].path) as typeof path;
const parameters = ({ account, entity }: Target) => ({ path: { ...accountPath(account.id).path, id: entity.id } });

/** Returns what an entity is now in the fields of a change. */
function present(entity: Entity, patch: Patch): Patch {
  return {
    ...(patch.status && { status: entity.status as NonNullable<Patch["status"]> }),
    ...(patch.name && entity.name && { name: entity.name }),
    ...(patch.daily_budget && entity.daily_budget && { daily_budget: entity.daily_budget }),
  };
}

/** Writes a change for people, such as "“Summer” paused, was active". */
function describe({ account, level, entity }: Target, patch: Patch): string {
  const object = `${LEVELS[level].noun} “${nameOf(entity)}”`;
  const money = ({ amount }: { amount: number }) => `${decimal(majorText(amount, digitsOf(account)), digitsOf(account))} ${account.currency}`;
  if (patch.status) return `${words(patch.status)}: ${object}, was ${words(entity.status ?? "unknown").toLowerCase()}`;
  if (patch.daily_budget) return `Daily budget of ${object}: ${money(patch.daily_budget)}${entity.daily_budget ? `, was ${money(entity.daily_budget)}` : ""}`;
  return `${object} is called “${patch.name}” now`;
}

async function send(target: Target, patch: Patch, key: string, version?: string): Promise<Schemas["EntityReport"]> {
  setPending(target.entity.id, patch);
  try {
    const header = { "Idempotency-Key": key, ...(version && { "If-Match": version }) };
    return await answer(api.PATCH(at(target.level), { params: { ...parameters(target), header }, body: patch }));
  } finally {
    setPending(target.entity.id, undefined);
  }
}

/** Makes a change. Throws the problem of one that is refused, after saying it unless `quiet`. */
export async function change(target: Target, patch: Patch, { quiet = false } = {}): Promise<void> {
  const before = present(target.entity, patch);
  try {
    await send(target, patch, idempotencyKey());
  } catch (error) {
    if (!quiet) notify(`${nameOf(target.entity)} was not changed: ${(error as Error).message}`, { tone: "bad" });
    throw error;
  }
  invalidate("rows:");
  invalidate("children:");
  invalidate("entity:");
  if (quiet) return;
  const canUndo = Object.keys(before).length > 0;
  notify(describe(target, patch), canUndo ? { undo: () => void undo(target, patch, before) } : {});
}

/** Takes a change back, unless the object was changed again since. */
export async function undo(target: Target, done: Patch, before: Patch): Promise<void> {
  try {
    const read = await api.GET(at(target.level), { params: parameters(target) });
    const now = await answer(Promise.resolve(read));
    if (JSON.stringify(present(now, done)) !== JSON.stringify(done)) {
      notify(`${nameOf(now)} was changed again since, so it stays as it is: ${describe({ ...target, entity: target.entity }, present(now, done))}`, { tone: "bad" });
      return;
    }
    await send({ ...target, entity: now }, before, idempotencyKey(), read.response.headers.get("etag") ?? undefined);
    notify(`Undone. ${describe({ ...target, entity: now }, before)}`);
  } catch (error) {
    notify(`It could not be undone: ${(error as Error).message}`, { tone: "bad" });
  }
  invalidate("rows:");
  invalidate("children:");
  invalidate("entity:");
}

/** Parallel requests of a change of many. */
const PARALLEL = 4;

export interface BulkResult {
  target: Target;
  before: Patch;
  error: Error | undefined;
}

/** Makes the same kind of change to many objects. Each has its own result; one that fails stops no other. */
export async function changeAll(targets: Target[], patchOf: (target: Target) => Patch, progress: (done: number) => void): Promise<BulkResult[]> {
  const results: BulkResult[] = [];
  const queue = [...targets];
  const work = async () => {
    for (let target = queue.shift(); target; target = queue.shift()) {
      const patch = patchOf(target);
      const before = present(target.entity, patch);
      try {
        await send(target, patch, idempotencyKey());
        results.push({ target, before, error: undefined });
      } catch (error) {
        results.push({ target, before, error: error as Error });
      }
      progress(results.length);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  invalidate("rows:");
  invalidate("children:");
  return results;
}
