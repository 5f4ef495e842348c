// The editor of a rule: a sentence with fields.

import { useState } from "preact/hooks";
import { api, answer, idempotencyKey, Problem, type Schemas } from "../api";
import { majorText, minorUnits } from "../format";
import { Dialog } from "../parts/dialog";
import { notify } from "../parts/toast";
import { measure } from "../measures";
import { invalidate } from "../resource";
import { adAccounts, digitsOfCurrency, nameOf } from "../store";
import { OPERATORS, RULE_LEVELS, sentence, WINDOWS, type Rule } from "./sentence";

type Input = Schemas["RuleSpec"];

const MEASURES = [
  "spend", "purchases", "cost_per_purchase", "roas", "purchase_value", "leads", "cost_per_lead", "results", "cost_per_result", "ctr", "link_ctr",
  "cpc", "cpm", "impressions", "link_clicks", "add_to_cart", "conversion_rate",
];

const START: Draft = {
  name: "", level: "ad", measure: "cost_per_purchase", operator: "above", value: "", window: "last_7_days", action: "pause", budget: "",
  account: "", spend: "50", impressions: "1000", zero: false,
};

interface Draft {
  name: string;
  level: Rule["level"];
  measure: string;
  operator: Rule["when"]["operator"];
  value: string;
  window: Rule["when"]["window"];
  action: Schemas["Action"]["type"];
  budget: string;
  account: string;
  spend: string;
  impressions: string;
  zero: boolean;
}

/** Rates are fractions in the API, and percentages to people. */
const isRate = (name: string) => measure(name).kind === "rate";

function draftOf(rule: Rule): Draft {
  const { when, guard, action } = rule;
  return {
    name: rule.name, level: rule.level, measure: when.measure, operator: when.operator, window: when.window, account: rule.ad_account ?? "",
    value: isRate(when.measure) ? String(Number((Number(when.value) * 100).toPrecision(12))) : when.value,
    action: action.type, budget: action.type === "set_budget" ? majorText(action.daily_budget.amount, digitsOfCurrency(action.daily_budget.currency)) : "",
    spend: guard.min_spend, impressions: String(guard.min_impressions), zero: when.missing === "zero",
  };
}

export function RuleForm({ workspace, rule, onClose }: { workspace: string; rule?: Rule | undefined; onClose: () => void }) {
  const accounts = adAccounts.value.data ?? [];
  const [draft, setDraft] = useState<Draft>(rule ? draftOf(rule) : { ...START, account: accounts.length === 1 ? accounts[0]!.id : "" });
  const [errors, setErrors] = useState<string[]>([]);
  const [key] = useState(idempotencyKey);
  const set = <K extends keyof Draft>(name: K, value: Draft[K]) => (setDraft({ ...draft, [name]: value }), setErrors([]));
  const account = accounts.find(({ id }) => id === draft.account);
  const input = toInput(draft, account?.currency, rule?.state);
  const save = async (event: Event) => {
    event.preventDefault();
    if (!input) return setErrors(["Fill in every number. A budget needs an ad account, which says its currency."]);
    try {
      const header = { "Idempotency-Key": key };
      if (rule) await answer(api.PUT("/v1/workspaces/{workspace}/rules/{rule}", { params: { path: { workspace, rule: rule.id } }, body: input }));
      else await answer(api.POST("/v1/workspaces/{workspace}/rules", { params: { path: { workspace }, header }, body: input }));
      invalidate("rules:");
      notify(`${rule ? "Saved" : "Added"}: ${sentence(input as Rule)}`);
      onClose();
    } catch (error) {
      setErrors(error instanceof Problem && error.errors.length > 0 ? error.errors.map(({ field, message }) => `${field} ${message}`) : [(error as Error).message]);
    }
  };
  return (
    <Dialog title={rule ? "Change the rule" : "New rule"} onClose={onClose} wide>
      <form class="rule-form" onSubmit={save}>
        <label>Name<input required maxLength={200} value={draft.name} autofocus onInput={(event) => set("name", event.currentTarget.value)} /></label>
        <div class="line">
          <Choice label="Do" value={draft.action} options={{ notify: "Tell us about", pause: "Pause", ...(draft.level !== "ad" && { set_budget: "Set the daily budget of" }) }} onChange={(value) => set("action", value)} />
          <Choice label="What" value={draft.level} options={RULE_LEVELS} onChange={(value) => setDraft({ ...draft, level: value, action: value === "ad" && draft.action === "set_budget" ? "pause" : draft.action })} />
          <label>In<select value={draft.account} onChange={(event) => set("account", event.currentTarget.value)}><option value="">every ad account</option>{accounts.map((one) => <option key={one.id} value={one.id}>{nameOf(one)}</option>)}</select></label>
          {draft.action === "set_budget" && <label>To{account && ` (${account.currency})`}<input class="number" inputMode="decimal" required value={draft.budget} onInput={(event) => set("budget", event.currentTarget.value)} /></label>}
        </div>
        <div class="line">
          <Choice label="Whose" value={draft.measure} options={Object.fromEntries(MEASURES.map((name) => [name, measure(name).label]))} onChange={(value) => set("measure", value)} />
          <Choice label="Compared" value={draft.operator} options={OPERATORS} onChange={(value) => set("operator", value)} />
          <label>Value{isRate(draft.measure) && " (%)"}<input class="number" inputMode="decimal" required value={draft.value} onInput={(event) => set("value", event.currentTarget.value)} /></label>
          <Choice label="When" value={draft.window} options={WINDOWS} onChange={(value) => set("window", value)} />
        </div>
        <fieldset class="line">
          <legend>Only where there is enough to judge by</legend>
          <label>At least this spend<input class="number" inputMode="decimal" value={draft.spend} onInput={(event) => set("spend", event.currentTarget.value)} /></label>
          <label>At least these impressions<input class="number" inputMode="numeric" value={draft.impressions} onInput={(event) => set("impressions", event.currentTarget.value)} /></label>
          <label class="check"><input type="checkbox" checked={draft.zero} onChange={(event) => set("zero", event.currentTarget.checked)} /> A number that Meta does not report counts as 0</label>
        </fieldset>
        {input && <p class="note">{sentence(input as Rule)}. It decides once a day on each, on complete numbers alone.</p>}
        {errors.length > 0 && <ul class="bad-text" role="alert">{errors.map((error) => <li key={error}>{error}</li>)}</ul>}
        <p class="actions">
          <button type="submit" class="button primary">{rule ? "Save" : "Add the rule"}</button>
          <button type="button" class="button" onClick={onClose}>Cancel</button>
        </p>
      </form>
    </Dialog>
  );
}

function Choice<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: Partial<Record<T, string>>; onChange: (value: T) => void }) {
  return (
    <label>
      {label}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {Object.entries(options).map(([name, text]) => <option key={name} value={name}>{text as string}</option>)}
      </select>
    </label>
  );
}

const DECIMAL = /^\d{1,12}(\.\d{1,6})?$/;

/** Returns the rule document of a draft, once every number in it is one. */
function toInput(draft: Draft, currency: string | undefined, state: Rule["state"] | undefined): Input | undefined {
  const numbers = [draft.value, draft.spend, draft.impressions].map((text) => text.trim().replace(",", "."));
  const [value, spend, impressions] = numbers as [string, string, string];
  if (numbers.some((text) => !DECIMAL.test(text))) return undefined;
  const amount = draft.action === "set_budget" && currency ? minorUnits(draft.budget, digitsOfCurrency(currency)) : undefined;
  if (draft.action === "set_budget" && !amount) return undefined;
  return {
    name: draft.name,
    level: draft.level,
    ...(draft.account && { ad_account: draft.account }),
    ...(state && { state }),
    when: {
      measure: draft.measure as Input["when"]["measure"], operator: draft.operator, window: draft.window, missing: draft.zero ? "zero" : "unknown",
      value: isRate(draft.measure) ? String(Number((Number(value) / 100).toPrecision(12))) : value,
    },
    guard: { min_spend: spend, min_impressions: Number(impressions) },
    action: draft.action === "set_budget" ? { type: "set_budget", daily_budget: { amount: amount!, currency: currency! } } : { type: draft.action },
  };
}
