// Changes at Meta: each says the object, the old value and the new one, is done once however often it is sent, and can be
// taken back while the object still has the new value.

import { signal, type Signal } from "@preact/signals";
import { api, answer, idempotencyKey, Offline, Problem, type Schemas } from "../api";
import { decimal, majorText, words } from "../format";
import { notify } from "../parts/toast";
import { invalidate } from "../resource";
import { accountPath, digitsOf, nameOf, type AdAccount } from "../store";
import { LEVELS, type Entity, type Level } from "./levels";

/** What one change sets. */
interface Patch {
  name?: string;
  status?: Schemas["NewStatus"];
  daily_budget?: Schemas["Money"];
}

export interface Target {
  account: AdAccount;
  level: Level;
  entity: Entity;
}

/** Entities whose change is under way, by id, with what they will be. */
export const pending = signal<ReadonlyMap<string, Patch>>(new Map());

/** Entities as the API confirmed their last change, by id, until the rows are read again. */
export const confirmed = signal<ReadonlyMap<string, Partial<Entity>>>(new Map());

function setEntry<T>(into: Signal<ReadonlyMap<string, T>>, id: string, value: T | undefined): void {
  const next = new Map(into.value);
  if (value === undefined) next.delete(id);
  else next.set(id, value);
  into.value = next;
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
  return `${LEVELS[level].noun} “${patch.name}”, was called “${nameOf(entity)}”`;
}

/** Reads an object as it is at this moment, with its version. */
async function read(target: Target): Promise<{ now: Entity; version: string | undefined }> {
  const found = await api.GET(at(target.level), { params: parameters(target) });
  return { now: (await answer(Promise.resolve(found))) as Entity, version: found.response.headers.get("etag") ?? undefined };
}

/** Sends a change. With a version it is made only on that one. */
async function send({ account, level, entity }: Target, patch: Patch, version?: string): Promise<void> {
  const target = { account, level, entity };
  setEntry(pending, entity.id, patch);
  try {
    const header = { "Idempotency-Key": idempotencyKey(), ...(version && { "If-Match": version }) };
    const { name, status, effective_status, daily_budget } = await answer(api.PATCH(at(level), { params: { ...parameters(target), header }, body: patch }));
    setEntry(confirmed, entity.id, {
      ...(name && { name }), ...(status && { status }), ...(effective_status && { effective_status }), ...(daily_budget && { daily_budget }),
    });
  } finally {
    setEntry(pending, entity.id, undefined);
  }
}

/** Returns whether a change that was not confirmed may have been made. */
const isUncertain = (error: unknown) => error instanceof Offline || (error instanceof Problem && (error.kind === "unknown-outcome" || error.status >= 500));

/** Makes a change and says so. Throws the problem of one that is refused, after saying it. */
export async function change(target: Target, patch: Patch): Promise<void> {
  let now: Entity;
  let isSent = false;
  try {
    // What it was is what it is now, and not when the page was read.
    const found = await read(target);
    now = found.now;
    isSent = true;
    await send(target, patch, found.version);
  } catch (error) {
    const what = isSent && isUncertain(error) ? "may have been changed, and is being read again" : "was not changed";
    notify(`${nameOf(target.entity)} ${what}: ${(error as Error).message}`, { tone: "bad" });
    readAgain();
    throw error;
  }
  const before = present(now, patch);
  readAgain();
  const canUndo = Object.keys(before).length > 0;
  notify(describe({ ...target, entity: now }, patch), canUndo ? { undo: () => void undo(target, patch, before) } : {});
}

/** Takes a change back, unless the object was changed again since. Throws why it could not. */
async function revert(target: Target, done: Patch, before: Patch): Promise<void> {
  const { now, version } = await read(target);
  if (JSON.stringify(present(now, done)) !== JSON.stringify(done)) {
    throw new Error(`${nameOf(now)} was changed again since, so it stays as it is`);
  }
  await send({ ...target, entity: now }, before, version);
}

async function undo(target: Target, done: Patch, before: Patch): Promise<void> {
  try {
    await revert(target, done, before);
    notify(`Undone. ${describe({ ...target, entity: { ...target.entity, ...done } as Entity }, before)}`);
  } catch (error) {
    notify(`It was not undone: ${(error as Error).message}`, { tone: "bad" });
  }
  readAgain();
}

/** Shows of objects that their change is under way, or no longer. */
export const showPending = (ids: string[], patch: Patch | undefined): void => ids.forEach((id) => setEntry(pending, id, patch));

/** Shows an object as a change has made it, until it is read again. */
export const showConfirmed = (id: string, values: Partial<Entity>): void => setEntry(confirmed, id, values);

/** Reads again what a change may have changed on the page; until it is here, what was confirmed is shown. */
export function readAgain(): void {
  const shown = [...confirmed.value];
  void Promise.all(["rows:", "children:", "entity:", "audit:"].map(invalidate)).then(() => {
    for (const [id, value] of shown) if (confirmed.value.get(id) === value) setEntry(confirmed, id, undefined);
  });
}
