// The editor of a rule: a sentence with fields.

import { useState } from "preact/hooks";
import { api, answer, idempotencyKey, Problem, type Schemas } from "../api";
import { majorText } from "../format";
import { Dialog } from "../parts/dialog";
import { notify } from "../parts/toast";
import { measure } from "../measures";
import { invalidate } from "../resource";
import { adAccount, adAccounts, digitsOfCurrency, nameOf } from "../store";
import { OPERATORS, RULE_LEVELS, sentence, WINDOWS, type Rule } from "./sentence";
import { minorUnits, parseDecimal, typedText } from "../typed";

type Input = Schemas["RuleSpec"];

const MEASURES = [
  "spend", "purchases", "cost_per_purchase", "roas", "purchase_value", "leads", "cost_per_lead", "results", "cost_per_result", "ctr", "link_ctr",
  "cpc", "cpm", "impressions", "clicks", "link_clicks", "cost_per_link_click", "landing_page_views", "add_to_cart", "initiate_checkout", "conversion_rate",
  "profit", "average_order_value",
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
    value: typedText(isRate(when.measure) ? String(Number((Number(when.value) * 100).toPrecision(12))) : when.value),
    action: action.type, budget: action.type === "set_budget" ? typedText(majorText(action.daily_budget.amount, digitsOfCurrency(action.daily_budget.currency))) : "",
    spend: typedText(guard.min_spend), impressions: String(guard.min_impressions), zero: when.missing === "zero",
  };
}

export function RuleForm({ workspace, rule, onClose }: { workspace: string; rule?: Rule | undefined; onClose: () => void }) {
  const accounts = adAccounts.value.data ?? [];
  const currencies = new Set(accounts.map(({ currency }) => currency));
  const [draft, setDraft] = useState<Draft>(rule ? draftOf(rule) : { ...START, account: currencies.size > 1 || accounts.length === 1 ? (adAccount.value?.id ?? "") : "" });
  const [errors, setErrors] = useState<string[]>([]);
  const [key] = useState(idempotencyKey);
  const set = <K extends keyof Draft>(name: K, value: Draft[K]) => (setDraft({ ...draft, [name]: value }), setErrors([]));
  const account = accounts.find(({ id }) => id === draft.account);
  const input = toInput(draft, account?.currency, rule?.state);
  const save = async (event: Event) => {
    event.preventDefault();
    if (!input) return setErrors(["Fill in every number. A budget needs an ad account, which says its currency."]);
    // 40 yen are not 40 dollars.
    const isMoney = measure(draft.measure).kind === "money" || Number(input.guard?.min_spend ?? 0) > 0;
    if (!account && isMoney && currencies.size > 1) return setErrors([`Choose an ad account: the amounts would mean ${[...currencies].join(", ")} alike.`]);
    try {
      const header = { "Idempotency-Key": key };
      if (rule) await replace(workspace, rule, input);
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
          <Choice label="Action" value={draft.action} options={{ pause: "Pause", notify: "Record (no message is sent)", ...(draft.level !== "ad" && { set_budget: "Set the daily budget of" }) }} onChange={(value) => set("action", value)} />
          <Choice label="Apply to" value={draft.level} options={RULE_LEVELS} onChange={(value) => setDraft({ ...draft, level: value, action: value === "ad" && draft.action === "set_budget" ? "pause" : draft.action })} />
          <label>Ad account<select value={draft.account} onChange={(event) => set("account", event.currentTarget.value)}><option value="">every ad account</option>{accounts.map((one) => <option key={one.id} value={one.id}>{nameOf(one)}</option>)}</select></label>
          {draft.action === "set_budget" && <label>To{account && ` (${account.currency})`}<input class="number" inputMode="decimal" required value={draft.budget} onInput={(event) => set("budget", event.currentTarget.value)} /></label>}
        </div>
        <div class="line">
          <Choice label="Metric" value={draft.measure} options={Object.fromEntries(MEASURES.map((name) => [name, measure(name).label]))} onChange={(value) => set("measure", value)} />
          <Choice label="Condition" value={draft.operator} options={OPERATORS} onChange={(value) => set("operator", value)} />
          <label>Value{isRate(draft.measure) ? " (%)" : measure(draft.measure).kind === "money" && account ? ` (${account.currency})` : ""}<input class="number" inputMode="decimal" required value={draft.value} onInput={(event) => set("value", event.currentTarget.value)} /></label>
          <Choice label="Time range" value={draft.window} options={WINDOWS} onChange={(value) => set("window", value)} />
        </div>
        <fieldset class="line">
          <legend>Minimum data</legend>
          <label>Minimum spend{account && ` (${account.currency})`}<input class="number" inputMode="decimal" value={draft.spend} onInput={(event) => set("spend", event.currentTarget.value)} /></label>
          <label>Minimum impressions<input class="number" inputMode="numeric" value={draft.impressions} onInput={(event) => set("impressions", event.currentTarget.value)} /></label>
          <label class="check"><input type="checkbox" checked={draft.zero} onChange={(event) => set("zero", event.currentTarget.checked)} /> Treat missing results as 0</label>
        </fieldset>
        <p class="fine">To pause what spends without a purchase, choose Purchases is below 1, and treat missing results as 0.</p>
        {input && <p class="note">{sentence(input as Rule)}. It decides at most once a day on each, once the data of the time range is complete.</p>}
        {errors.length > 0 && <ul class="bad-text" role="alert">{errors.map((error) => <li key={error}>{error}</li>)}</ul>}
        <p class="actions">
          <button type="submit" class="button primary">{rule ? "Save" : "Add the rule"}</button>
          <button type="button" class="button" onClick={onClose}>Cancel</button>
        </p>
      </form>
    </Dialog>
  );
}

/** Saves a rule as it is written here, unless somebody has changed it since it was opened. */
async function replace(workspace: string, opened: Rule, body: Input): Promise<void> {
  const path = { workspace, rule: opened.id };
  const read = await api.GET("/v1/workspaces/{workspace}/rules/{rule}", { params: { path } });
  const now = await answer(Promise.resolve(read));
  if (JSON.stringify(now) !== JSON.stringify(opened)) {
    throw new Error(`Somebody has changed this rule since: “${now.name}” is ${now.state === "enabled" ? "on" : "off"}. ${sentence(now)}. Close this and open it again.`);
  }
  const version = read.response.headers.get("etag");
  await answer(api.PUT("/v1/workspaces/{workspace}/rules/{rule}", { params: { path, header: version ? { "If-Match": version } : {} }, body }));
}

/** Reads a number that may be below zero. */
const parseSigned = (typed: string): string | undefined => {
  const [, sign = "", size = ""] = /^\s*([-\u2212]?)(.*)$/.exec(typed) ?? [];
  const value = parseDecimal(size);
  return value === undefined ? undefined : `${sign && "-"}${value}`;
};

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

/** Returns the rule document of a draft, once every number in it is one. */
function toInput(draft: Draft, currency: string | undefined, state: Rule["state"] | undefined): Input | undefined {
  const value = parseSigned(draft.value);
  const [spend, impressions] = [draft.spend, draft.impressions].map(parseDecimal);
  if (value === undefined || spend === undefined || impressions === undefined) return undefined;
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
