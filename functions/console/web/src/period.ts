// Periods of whole days. A preset stays relative in a link, days that a person chose are absolute.

import { params } from "./route";
import { dayIn, days as writeDays } from "./format";
import { systemNow } from "./session";

export interface Period {
  since: string;
  until: string;
  label: string;
  /** The preset, unless a person chose the days. */
  preset: string | undefined;
}

const MS_PER_DAY = 86_400_000;

/** Returns the day that is so many days after another. */
export const addDays = (day: string, count: number): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) + count * MS_PER_DAY).toISOString().slice(0, 10);

/** Returns how many days a period has. */
export const length = ({ since, until }: { since: string; until: string }): number =>
  Math.round((Date.parse(until) - Date.parse(since)) / MS_PER_DAY) + 1;

/** Returns every day of a period. */
export const daysOf = (period: { since: string; until: string }): string[] =>
  Array.from({ length: length(period) }, (_, index) => addDays(period.since, index));

/** Returns today in a time zone. */
export const todayIn = (timeZone: string): string => dayIn(systemNow(), timeZone);

const lastDays = (count: number) => (today: string): [string, string] => [addDays(today, -count), addDays(today, -1)];
const monthOf = (day: string) => `${day.slice(0, 8)}01`;

/** Returns the Monday of a day's week: weeks are those of the API. */
const mondayOf = (day: string) => addDays(day, -((new Date(`${day}T00:00Z`).getUTCDay() + 6) % 7));

export const PRESETS: { name: string; label: string; days: (today: string) => [string, string] }[] = [
  { name: "today", label: "Today", days: (today) => [today, today] },
  { name: "yesterday", label: "Yesterday", days: lastDays(1) },
  { name: "last_7d", label: "Last 7 days", days: lastDays(7) },
  { name: "last_14d", label: "Last 14 days", days: lastDays(14) },
  { name: "last_30d", label: "Last 30 days", days: lastDays(30) },
  { name: "last_60d", label: "Last 60 days", days: lastDays(60) },
  { name: "last_90d", label: "Last 90 days", days: lastDays(90) },
  { name: "this_week", label: "This week", days: (today) => [mondayOf(today), today] },
  { name: "last_week", label: "Last week", days: (today) => [addDays(mondayOf(today), -7), addDays(mondayOf(today), -1)] },
  { name: "this_month", label: "This month", days: (today) => [monthOf(today), today] },
  {
    name: "last_month",
    label: "Last month",
    days: (today) => {
      const last = addDays(monthOf(today), -1);
      return [monthOf(last), last];
    },
  },
];

const DEFAULT_PRESET = "last_30d";

const isDay = (text: string) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && addDays(text, 0) === text;

/** Returns the period of the address, in a time zone. */
export function currentPeriod(timeZone: string): Period {
  const today = todayIn(timeZone);
  const [since, until] = [params.value.get("since") ?? "", params.value.get("until") ?? ""];
  if (isDay(since) && isDay(until) && since <= until) {
    return { since, until, label: writeDays(since, until), preset: undefined };
  }
  const wanted = params.value.get("range") ?? DEFAULT_PRESET;
  const preset = PRESETS.find(({ name }) => name === wanted) ?? PRESETS.find(({ name }) => name === DEFAULT_PRESET)!;
  const [from, to] = preset.days(today);
  return { since: from, until: to, label: preset.label, preset: preset.name };
}

/** Returns the parameters of the address for a preset. */
export const presetParams = (name: string): Record<string, string | undefined> => ({
  range: name === DEFAULT_PRESET ? undefined : name, since: undefined, until: undefined,
});

/** Returns the parameters of the address for days. */
export const daysParams = (since: string, until: string): Record<string, string | undefined> => ({
  range: undefined, since, until,
});

/** Returns whether the address asks for a comparison; it does unless it says no. */
export const isCompared = (): boolean => params.value.get("compare") !== "none";
