// The bar for the selected rows: pause, activate, change budgets. What fails stays selected, with its reason.

import { useState } from "preact/hooks";
import { decimal, majorText, minorUnits, parseDecimal, plural } from "../format";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icons";
import { notify } from "../parts/toast";
import { digitsOf, nameOf, type AdAccount } from "../store";
import { LEVELS, type Row } from "./levels";
import { changeAll, step, undoAll, type Step, type StepResult, type Target } from "./writes";

interface Props {
  account: AdAccount;
  rows: Row[];
  /** Gets the rows that stay selected. */
  onDone: (left: Row[]) => void;
}

/** Writes how many objects of each level there are. */
function objects(of: { target: Target }[]): string {
  const counts = new Map<string, number>();
  for (const { target } of of) counts.set(LEVELS[target.level].noun, (counts.get(LEVELS[target.level].noun) ?? 0) + 1);
  return [...counts].map(([noun, count]) => plural(count, noun)).join(", ");
}

export default function BulkBar({ account, rows, onDone }: Props) {
  const [done, setDone] = useState<number>();
  const [failed, setFailed] = useState<StepResult[]>([]);
  const [budgets, setBudgets] = useState(false);
  const targets: Target[] = rows.map(({ level, entity }) => ({ account, level, entity }));

  const run = async (what: string, steps: Step[]) => {
    setFailed([]);
    setDone(0);
    const results = await changeAll(steps, setDone);
    setDone(undefined);
    const wrong = results.filter(({ error }) => error);
    const right = results.filter(({ error }) => !error).map(({ step }) => step);
    setFailed(wrong);
    const left = new Set(wrong.map(({ step }) => step.target.entity.id));
    onDone(rows.filter(({ entity }) => left.has(entity.id)));
    // The bar may be closed by now.
    if (wrong[0]) notify(`${wrong.length} of ${steps.length} were not changed. ${nameOf(wrong[0].step.target.entity)}: ${wrong[0].error!.message}`, { tone: "bad" });
    if (right.length > 0) notify(`${what}: ${objects(right)}`, { undo: () => void revertAll(right) });
  };
  const revertAll = async (steps: Step[]) => {
    const wrong = (await undoAll(steps)).filter(({ error }) => error);
    const rest = steps.length - wrong.length;
    if (rest > 0) notify(`Undone: ${plural(rest, "change")}`);
    for (const { error } of wrong.slice(0, 3)) notify(`It was not undone: ${error!.message}`, { tone: "bad" });
  };
  const status = (status: "ACTIVE" | "PAUSED") => {
    const others = targets.filter(({ entity }) => entity.status !== status && (entity.status === "ACTIVE" || entity.status === "PAUSED"));
    if (others.length === 0) return notify(`All of them are ${status === "ACTIVE" ? "active" : "paused"} already.`);
    void run(status === "ACTIVE" ? "Activated" : "Paused", others.map((target) => step(target, { status })));
  };
  const withBudget = targets.filter(({ entity }) => entity.daily_budget);
  return (
    <div class="bulk" role="toolbar" aria-label="Selected rows">
      <b>{objects(targets.map((target) => ({ target })))} selected</b>
      {done === undefined
        ? (
          <>
            <button type="button" class="button" onClick={() => status("PAUSED")}><Icon name="pause" />Pause</button>
            <button type="button" class="button" onClick={() => status("ACTIVE")}><Icon name="play" />Activate</button>
            <button type="button" class="button" disabled={withBudget.length === 0} onClick={() => setBudgets(true)}>Budget …</button>
          </>
        )
        : <span role="status">{done} done …</span>}
      <button type="button" class="icon-button" aria-label="Select none" onClick={() => onDone([])}><Icon name="close" /></button>
      {failed.length > 0 && (
        <ul class="refusals" role="alert">
          {failed.map(({ step: { target }, error }) => <li key={target.entity.id}><b>{nameOf(target.entity)}</b> {error!.message}</li>)}
        </ul>
      )}
      {budgets && (
        <BudgetDialog
          account={account} targets={withBudget} skipped={rows.length - withBudget.length} onClose={() => setBudgets(false)}
          onSave={(amounts) => {
            setBudgets(false);
            const changed = withBudget.filter(({ entity }) => amounts.get(entity.id) !== entity.daily_budget!.amount);
            const more = changed.reduce((sum, { entity }) => sum + amounts.get(entity.id)! - entity.daily_budget!.amount, 0);
            const digits = digitsOf(account);
            const by = `${more < 0 ? "−" : "+"}${decimal(majorText(Math.abs(more), digits), digits)} ${account.currency} a day in all`;
            void run(`Budgets changed, ${by}`, changed.map((target) => step(target, { daily_budget: { amount: amounts.get(target.entity.id)!, currency: account.currency } })));
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
  const [, sign = "", size = ""] = /^([+\-−]?)(.*)$/.exec(typed.trim()) ?? [];
  const parsed = parseDecimal(size);
  const percent = parsed === undefined ? undefined : Number(parsed) * (sign === "-" || sign === "−" ? -1 : 1);
  const amount = minorUnits(typed, digits);
  const isValid = kind === "percent" ? percent !== undefined && percent > -100 && percent <= 900 && percent !== 0 : amount !== undefined && amount > 0;
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
            <thead><tr><th scope="col">Name</th><th scope="col" class="number">Current</th><th scope="col" class="number">New</th></tr></thead>
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
        {skipped > 0 && <p class="fine">{plural(skipped, "selected row")} without a daily budget {skipped === 1 ? "is" : "are"} not changed.</p>}
        <p class="actions">
          <button type="submit" class="button primary" disabled={!isValid}>Change {plural(targets.length, "budget")}</button>
          <button type="button" class="button" onClick={onClose}>Cancel</button>
        </p>
      </form>
    </Dialog>
  );
}
