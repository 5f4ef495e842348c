// Rules and decisions as sentences.

import type { Schemas } from "../api";
import { decimal, majorText, percent } from "../format";
import { measure, write } from "../measures";
import { adAccounts, digitsOfCurrency } from "../store";

export type Rule = Schemas["Rule"];
export type Decision = Schemas["Decision"];

export const WINDOWS: Record<Rule["when"]["window"], string> = {
  today: "today",
  yesterday: "yesterday",
  last_3_days: "in the last 3 days",
  last_7_days: "in the last 7 days",
  last_14_days: "in the last 14 days",
  last_30_days: "in the last 30 days",
};

export const OPERATORS: Record<Rule["when"]["operator"], string> = {
  above: "is above",
  at_least: "is at least",
  below: "is below",
  at_most: "is at most",
};

export const RULE_LEVELS: Record<Rule["level"], string> = { campaign: "campaigns", adset: "ad sets", ad: "ads" };

/** Writes a value of a measure, with the percent of a rate. */
export function valueText(name: string, value: string): string {
  return measure(name).kind === "rate" ? percent(value) : decimal(value, Number.isInteger(Number(value)) ? 0 : 2);
}

function actionText(action: Schemas["Action"]): string {
  if (action.type === "notify") return "Record";
  if (action.type === "pause") return "Pause";
  const { amount, currency } = action.daily_budget;
  const digits = digitsOfCurrency(currency);
  return `Set the daily budget to ${decimal(majorText(amount, digits), digits)} ${currency} of`;
}

/** Writes what a rule does: "Pause ads whose cost per purchase is above 40 in the last 7 days". */
export function sentence({ action, level, when }: Pick<Rule, "action" | "level" | "when">): string {
  const of = measure(when.measure).label;
  // Abbreviations stay as they are.
  const name = /^[A-Z]{2}/.test(of) ? of : of.toLowerCase();
  return `${actionText(action)} ${RULE_LEVELS[level]} whose ${name} ${OPERATORS[when.operator]} ${valueText(when.measure, when.value)} ${WINDOWS[when.window]}`;
}

/** Writes why a rule decided so. */
export function because({ condition, value, spend, impressions, ad_account }: Decision): string {
  const account = adAccounts.value.data?.find(({ id }) => id === ad_account);
  const digits = account?.minor_units === 1 ? 0 : 2;
  const of = measure(condition.measure);
  return `${of.label} was ${write(of, value, digits)} ${WINDOWS[condition.window]} (spend ${decimal(spend, digits)}, ${decimal(impressions, 0)} impressions)`;
}
