// Cells of the table: the name in its tree, delivery with its switch, the budget that is changed in place, measures.

import { useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api";
import { decimal, majorText, plural, words } from "../format";
import { delta, measure, write } from "../measures";
import { Icon } from "../parts/icons";
import { narrow } from "../parts/narrow";
import { dense } from "../parts/preferences";
import { setParams, withParams } from "../route";
import { can, digitsOf, inWorkspace, nameOf, type AdAccount } from "../store";
import { LEVELS, type Row, type View } from "./levels";
import { Thumbnail } from "./thumbnail";
import { change, pending } from "./writes";
import { minorUnits, typedText } from "../typed";

/** Opens a row into what is below it, or closes it. */
export function toggleRow({ expanded }: View, id: string): void {
  const next = expanded.includes(id) ? expanded.filter((one) => one !== id) : [...expanded, id];
  setParams({ expand: next.join(",") || undefined });
}

export function NameCell({ row: { entity, level, depth }, view, account }: { row: Row; view: View; account: AdAccount }) {
  const { below } = LEVELS[level];
  const isOpen = view.expanded.includes(entity.id);
  const only = below && withParams({ level: below, [level]: entity.id, expand: undefined, q: undefined, status: undefined });
  const issues = (entity.issues?.length ?? 0) + (entity.review_feedback?.length ?? 0);
  return (
    <span class={`name-cell depth-${depth}${dense.value ? " dense" : ""}`}>
      {below
        ? (
          <button
            type="button" class={`twist${isOpen ? " open" : ""}`} tabIndex={-1} aria-expanded={isOpen}
            aria-label={`${isOpen ? "Hide" : "Show"} the ${LEVELS[below].noun}s of ${nameOf(entity)}`} onClick={() => toggleRow(view, entity.id)}
          >
            <Icon name="right" />
          </button>
        )
        : account.source ? <span class="twist" /> : <Thumbnail account={account.id} ad={entity.id} />}
      <span class="name-text">
        <a class="cut" tabIndex={-1} title={nameOf(entity)} href={inWorkspace(`${account.id}/campaigns/${entity.id}?level=${level}`)}>{nameOf(entity)}</a>
        {!dense.value && (
          <small>
            {narrow.value && `${words(entity.effective_status ?? "unknown")} · `}
            {depth > 0 && `${words(LEVELS[level].noun)} · `}
            {below && only ? <a tabIndex={-1} href={only}>{LEVELS[below].label}</a> : entity.objective && words(entity.objective)}
            {issues > 0 && <span class="bad-text"> · {plural(issues, "problem")}</span>}
          </small>
        )}
      </span>
    </span>
  );
}

/** Statuses that a switch can leave: deleted and archived entities stay so. */
const SWITCHED = ["ACTIVE", "PAUSED"];

/** Returns what a click on the switch of an entity makes of it; nothing if it has none. */
export const switched = (status: string | undefined): "ACTIVE" | "PAUSED" | undefined =>
  status !== undefined && SWITCHED.includes(status) ? (status === "ACTIVE" ? "PAUSED" : "ACTIVE") : undefined;

/** `tabIndex` is -1 in the table, where keys of the row do the same. */
export function DeliveryCell({ row: { entity, level }, account, tabIndex = 0 }: { row: Row; account: AdAccount; tabIndex?: number }) {
  const coming = pending.value.get(entity.id)?.status;
  const status = coming ?? entity.status;
  const next = switched(status);
  const state = words(entity.effective_status ?? status ?? "unknown");
  const toggle = () => next && void change({ account, level, entity }, { status: next }).catch(() => {});
  return (
    <span class={`delivery${coming ? " pending" : ""}`}>
      {next && can("editor") && !account.source && (
        <button
          type="button" role="switch" class="switch" tabIndex={tabIndex} aria-checked={status === "ACTIVE"} disabled={coming !== undefined}
          aria-label={`${nameOf(entity)} is on`} onClick={toggle}
        >
          <i />
        </button>
      )}
      <span class={`state ${tone(entity.effective_status)}`}>{coming ? `${words(coming)} …` : state}</span>
    </span>
  );
}

const tone = (status = "") =>
  status === "ACTIVE" ? "good" : ["DISAPPROVED", "WITH_ISSUES", "PENDING_BILLING_INFO"].includes(status) ? "bad" : "";

/** The row whose budget is being changed, by its id. */
export function BudgetCell({ row: { entity, level }, account, editing, onEdit, tabIndex = 0 }: {
  row: Row;
  tabIndex?: number;
  account: AdAccount;
  editing: boolean;
  onEdit: (change: (now: string | undefined) => string | undefined) => void;
}) {
  const digits = digitsOf(account);
  const budget = pending.value.get(entity.id)?.daily_budget ?? entity.daily_budget;
  if (editing && entity.daily_budget) return <BudgetEditor {...{ entity, level, account }} close={() => onEdit((now) => (now === entity.id ? undefined : now))} />;
  if (budget) {
    const text = decimal(majorText(budget.amount, digits), digits);
    const isPending = pending.value.has(entity.id) && pending.value.get(entity.id)?.daily_budget !== undefined;
    if (!can("editor") || account.source) return <span>{text}</span>;
    return (
      <button
        type="button" class={`in-place${isPending ? " pending" : ""}`} tabIndex={tabIndex} disabled={isPending}
        aria-label={`Daily budget of ${nameOf(entity)}: ${text} ${account.currency}. Change it`} onClick={() => onEdit(() => entity.id)}
      >
        {text}
      </button>
    );
  }
  if (entity.lifetime_budget) return <span>{decimal(majorText(entity.lifetime_budget.amount, digits), digits)} <small>lifetime</small></span>;
  return <span class="muted">{level === "campaign" ? "Ad set budget" : level === "adset" ? "Campaign budget" : ""}</span>;
}

function BudgetEditor({ entity, level, account, close }: { entity: Row["entity"]; level: Row["level"]; account: AdAccount; close: () => void }) {
  const digits = digitsOf(account);
  const before = typedText(majorText(entity.daily_budget!.amount, digits));
  const [typed, setTyped] = useState(before);
  const [refusal, setRefusal] = useState<string>();
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current!.select(), []);
  // The focus goes back to the row: it would fall to the page when the field goes away. Somebody who has gone on is left alone.
  const hasFocus = () => document.activeElement === input.current || input.current?.parentElement?.contains(document.activeElement) === true;
  const leave = () => {
    const row = hasFocus() ? (input.current?.closest("tr") ?? input.current?.closest<HTMLElement>("[tabindex]")) : undefined;
    close();
    row?.focus({ preventScroll: true });
  };
  const save = async () => {
    const amount = minorUnits(typed, digits);
    if (amount === undefined || amount === 0) return setRefusal(`Type an amount in ${account.currency}, such as ${before}.`);
    if (amount === entity.daily_budget!.amount) return leave();
    setBusy(true);
    try {
      await change({ account, level, entity }, { daily_budget: { amount, currency: account.currency } });
      leave();
    } catch (error) {
      setBusy(false);
      setRefusal(error instanceof Problem ? error.message : String(error));
      if (document.activeElement === document.body) input.current?.focus();
    }
  };
  return (
    <span class="editor">
      <input
        ref={input} class="number" inputMode="decimal" value={typed} readOnly={busy} aria-label={`Daily budget of ${nameOf(entity)} in ${account.currency}`}
        aria-invalid={refusal !== undefined} aria-describedby={refusal ? `refusal-${entity.id}` : undefined}
        onInput={(event) => (setTyped(event.currentTarget.value), setRefusal(undefined))}
        onKeyDown={(event) => {
          if (event.isComposing) return;
          if (event.key === "Enter") void save();
          else if (event.key === "Escape") leave();
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      {narrow.value && (
        <span class="actions">
          <button type="button" class="button primary" disabled={busy} onClick={() => void save()}>Save</button>
          <button type="button" class="button" onClick={leave}>Cancel</button>
        </span>
      )}
      {refusal && <span class="refusal" id={`refusal-${entity.id}`} role="alert">{refusal}</span>}
    </span>
  );
}

export function MeasureCell({ name, values, change: changed, previous, digits }: {
  name: string;
  values: Record<string, string | number> | undefined;
  change: Record<string, { absolute: string; relative?: string }> | undefined;
  previous: Record<string, string | number> | undefined;
  digits: number;
}) {
  const of = measure(name);
  const by = changed && delta(of, changed[name], previous?.[name]);
  return (
    <>
      <span>{values ? write(of, values[name], digits) : "…"}</span>
      {!dense.value && by && <small class={`delta ${by.tone}`}>{by.text}</small>}
    </>
  );
}
