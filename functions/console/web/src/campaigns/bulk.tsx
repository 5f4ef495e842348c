// The bar for the selected rows: pause, activate, change. What fails stays selected, with its reason.

import { useState } from "preact/hooks";
import { plural } from "../format";
import { Icon } from "../parts/icons";
import { notify } from "../parts/toast";
import type { AdAccount } from "../store";
import { ChangeDialog, KINDS, type Kind } from "./change-dialog";
import { LEVELS, type Row } from "./levels";
import { changeMany, changesOf, stopMany, undoMany, type Bulk, type NewValues } from "./many";

interface Props {
  account: AdAccount;
  rows: Row[];
  /** Gets the rows that stay selected. */
  onDone: (left: Row[]) => void;
}

/** Writes how many objects of each level there are. */
function objects(of: { level: string }[]): string {
  const counts = new Map<string, number>();
  for (const { level } of of) counts.set(level, (counts.get(level) ?? 0) + 1);
  return [...counts].map(([level, count]) => plural(count, LEVELS[level as Row["level"]].noun)).join(", ");
}

const stateIs = (...states: string[]) => ({ state }: { state: string }) => states.includes(state);
const failedOf = ({ objects = [] }: Bulk) => objects.filter((object) => !stateIs("done", "unchanged", "stopped")(object));

export default function BulkBar({ account, rows, onDone }: Props) {
  const [done, setDone] = useState<{ count: number; id?: string; stopping?: boolean }>();
  const [failed, setFailed] = useState<ReturnType<typeof failedOf>>([]);
  const [kinds, setKinds] = useState<Kind[]>();

  const run = async (what: string, chosen: Row[], set: NewValues, preview?: string) => {
    setFailed([]);
    setDone({ count: 0 });
    try {
      const bulk = await changeMany(account, changesOf(chosen, set), preview, (count, id) => setDone((before) => ({ ...before, count, id })));
      const wrong = failedOf(bulk);
      const right = bulk.objects?.filter(stateIs("done")) ?? [];
      const left = bulk.objects?.filter(stateIs("stopped")) ?? [];
      setFailed(wrong);
      onDone(rows.filter(({ entity }) => [...wrong, ...left].some(({ id }) => id === entity.id)));
      // The bar may be closed by now.
      if (wrong[0]) notify(`${wrong.length} of ${bulk.counts.objects} were not changed. ${wrong[0].name ?? wrong[0].id}: ${wrong[0].reason ?? wrong[0].state}`, { tone: "bad" });
      if (left.length > 0) notify(`Stopped: ${objects(left)} left as they were`);
      if (right.length > 0) notify(`${what}: ${objects(right)}`, { undo: () => void revert(bulk.id) });
    } catch (error) {
      notify(`Nothing is known to be changed: ${(error as Error).message}`, { tone: "bad" });
    } finally {
      setDone(undefined);
    }
  };
  const stop = async (id: string) => {
    setDone((before) => before && { ...before, stopping: true });
    try {
      await stopMany(account, id);
    } catch (error) {
      setDone((before) => before && { ...before, stopping: false });
      notify(`It was not stopped: ${(error as Error).message}`, { tone: "bad" });
    }
  };
  const revert = async (id: string) => {
    try {
      const undone = await undoMany(account, id);
      if (undone.counts.done > 0) notify(`Undone: ${plural(undone.counts.done, "change")}`);
      for (const { name, reason } of failedOf(undone).slice(0, 3)) notify(`It was not undone: ${name}: ${reason}`, { tone: "bad" });
    } catch (error) {
      notify(`It was not undone: ${(error as Error).message}`, { tone: "bad" });
    }
  };
  const status = (status: "ACTIVE" | "PAUSED") => {
    const others = rows.filter(({ entity }) => entity.status !== status && (entity.status === "ACTIVE" || entity.status === "PAUSED"));
    if (others.length === 0) return notify(`All of them are ${status === "ACTIVE" ? "active" : "paused"} already.`);
    void run(status === "ACTIVE" ? "Activated" : "Paused", others, { status });
  };
  const offered = Object.keys(KINDS).filter((kind) => kind !== "budget" && rows.some(KINDS[kind as Kind].has)) as Kind[];
  return (
    <div class="bulk" role="toolbar" aria-label="Selected rows">
      <b>{objects(rows)} selected</b>
      {done === undefined
        ? (
          <>
            <button type="button" class="button" onClick={() => status("PAUSED")}><Icon name="pause" />Pause</button>
            <button type="button" class="button" onClick={() => status("ACTIVE")}><Icon name="play" />Activate</button>
            <button type="button" class="button" disabled={!rows.some(KINDS.budget.has)} onClick={() => setKinds(["budget"])}>Budget …</button>
            <button type="button" class="button" onClick={() => setKinds(offered)}>More …</button>
          </>
        )
        : (
          <>
            <span role="status">{done.count} done …</span>
            {done.id && <button type="button" class="button" disabled={done.stopping} onClick={() => void stop(done.id!)}>{done.stopping ? "Stopping …" : "Stop"}</button>}
          </>
        )}
      <button type="button" class="icon-button" aria-label="Select none" onClick={() => onDone([])}><Icon name="close" /></button>
      {failed.length > 0 && (
        <ul class="refusals" role="alert">
          {failed.map(({ id, name, reason, state }) => <li key={id}><b>{name ?? id}</b> {reason ?? state}</li>)}
        </ul>
      )}
      {kinds && (
        <ChangeDialog
          account={account} rows={rows} kinds={kinds} onClose={() => setKinds(undefined)}
          onSave={(what, chosen, set, preview) => {
            setKinds(undefined);
            void run(what, chosen, set, preview);
          }}
        />
      )}
    </div>
  );
}
