// The bar for the selected rows: pause, activate, change budgets. What fails stays selected, with its reason.

import { useState } from "preact/hooks";
import type { Schemas } from "../api";
import { decimal, majorText, minorUnits, plural } from "../format";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icons";
import { notify } from "../parts/toast";
import { digitsOf, nameOf, type AdAccount } from "../store";
import type { Row } from "./levels";
import { changeAll, undo, type BulkResult, type Target } from "./writes";

type Patch = Schemas["Patch"];

interface Props {
  account: AdAccount;
  rows: Row[];
  /** Gets the rows that stay selected. */
  onDone: (left: Row[]) => void;
}

export default function BulkBar({ account, rows, onDone }: Props) {
  const [done, setDone] = useState<number>();
  const [failed, setFailed] = useState<BulkResult[]>([]);
  const [budgets, setBudgets] = useState(false);
  const targets: Target[] = rows.map(({ level, entity }) => ({ account, level, entity }));

  const run = async (what: string, of: Target[], patchOf: (target: Target) => Patch) => {
    setFailed([]);
    setDone(0);
    const results = await changeAll(of, patchOf, setDone);
    setDone(undefined);
    const [wrong, right] = [results.filter(({ error }) => error), results.filter(({ error }) => !error)];
    setFailed(wrong);
    const left = new Set(wrong.map(({ target }) => target.entity.id));
    onDone(rows.filter(({ entity }) => left.has(entity.id)));
    const undoAll = () => void Promise.all(right.map(({ target, before }) => undo(target, patchOf(target), before)));
    if (right.length > 0) notify(`${what}: ${plural(right.length, "object")}${wrong.length > 0 ? `, ${wrong.length} were refused` : ""}`, { undo: undoAll });
  };
  const status = (status: "ACTIVE" | "PAUSED") => {
    const others = targets.filter(({ entity }) => entity.status !== status && (entity.status === "ACTIVE" || entity.status === "PAUSED"));
    if (others.length === 0) return notify(`All of them are ${status === "ACTIVE" ? "active" : "paused"} already.`);
    void run(status === "ACTIVE" ? "Activated" : "Paused", others, () => ({ status }));
  };
  const withBudget = targets.filter(({ entity }) => entity.daily_budget);
  return (
    <div class="bulk" role="toolbar" aria-label="Selected rows">
      <b>{plural(rows.length, "row")} selected</b>
      {done === undefined
        ? (
          <>
            <button type="button" class="button" onClick={() => status("PAUSED")}><Icon name="pause" />Pause</button>
            <button type="button" class="button" onClick={() => status("ACTIVE")}><Icon name="play" />Activate</button>
            <button type="button" class="button" disabled={withBudget.length === 0} onClick={() => setBudgets(true)}>Budget …</button>
          </>
        )
        : <span role="status">{done} of {rows.length} …</span>}
      <button type="button" class="icon-button" aria-label="Select none" onClick={() => onDone([])}><Icon name="close" /></button>
      {failed.length > 0 && (
        <ul class="refusals" role="alert">
          {failed.map(({ target, error }) => <li key={target.entity.id}><b>{nameOf(target.entity)}</b> {error!.message}</li>)}
        </ul>
      )}
      {budgets && (
        <BudgetDialog
          account={account} targets={withBudget} skipped={rows.length - withBudget.length} onClose={() => setBudgets(false)}
          onSave={(amounts) => {
            setBudgets(false);
            const changed = withBudget.filter(({ entity }) => amounts.get(entity.id) !== entity.daily_budget!.amount);
            void run("Budgets changed", changed, ({ entity }) => ({ daily_budget: { amount: amounts.get(entity.id)!, currency: account.currency } }));
          }}
        />
      )}
    </div>
  );
}

function BudgetDialog({ account, targets, skipped, onSave, onClose }: {
  account: AdAccount;
  targets: Target[];
  skipped: number;
  onSave: (amounts: Map<string, number>) => void;
  onClose: () => void;
}) {
  const digits = digitsOf(account);
  const [kind, setKind] = useState<"percent" | "amount">("percent");
  const [typed, setTyped] = useState("");
  const money = (amount: number) => decimal(majorText(amount, digits), digits);
  const percent = /^[+-]?\d{1,3}(\.\d+)?$/.test(typed.trim()) ? Number(typed) : undefined;
  const amount = minorUnits(typed, digits);
  const isValid = kind === "percent" ? percent !== undefined && percent > -100 && percent !== 0 : amount !== undefined && amount > 0;
  const next = (before: number) => (kind === "percent" ? Math.max(1, Math.round(before * (1 + percent! / 100))) : amount!);
  return (
    <Dialog title="Change daily budgets" onClose={onClose} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isValid) onSave(new Map(targets.map(({ entity }) => [entity.id, next(entity.daily_budget!.amount)])));
        }}
      >
        <div class="segments" role="group" aria-label="How">
          <button type="button" aria-pressed={kind === "percent"} onClick={() => setKind("percent")}>By percent</button>
          <button type="button" aria-pressed={kind === "amount"} onClick={() => setKind("amount")}>To an amount</button>
        </div>
        <label>
          {kind === "percent" ? "Percent, such as 20 or -15" : `Amount in ${account.currency}`}
          <input class="number" inputMode="decimal" value={typed} autofocus onInput={(event) => setTyped(event.currentTarget.value)} />
        </label>
        <div class="table-scroll" tabIndex={0} role="region" aria-label="What would change">
          <table class="plain">
            <thead><tr><th scope="col">Object</th><th scope="col" class="number">Now</th><th scope="col" class="number">Then</th></tr></thead>
            <tbody>
              {targets.map(({ entity }) => (
                <tr key={entity.id}>
                  <th scope="row">{nameOf(entity)}</th>
                  <td class="number">{money(entity.daily_budget!.amount)}</td>
                  <td class="number">{isValid ? money(next(entity.daily_budget!.amount)) : "—"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        {skipped > 0 && <p class="fine">{plural(skipped, "row")} of the selection have no daily budget of their own and stay as they are.</p>}
        <p class="actions">
          <button type="submit" class="button primary" disabled={!isValid}>Change {plural(targets.length, "budget")}</button>
          <button type="button" class="button" onClick={onClose}>Cancel</button>
        </p>
      </form>
    </Dialog>
  );
}
