// The measures of the API, as people read them.

import { signal } from "@preact/signals";
import type { Schemas } from "./api";
import { compact, decimal, percent, UNKNOWN } from "./format";

export type Values = Schemas["Values"];

type Kind = "money" | "count" | "rate" | "multiple" | "decimal";

export interface Measure {
  name: string;
  label: string;
  kind: Kind;
  /** Which way is better; neutral without. */
  better?: "up" | "down";
}

const define = (name: string, label: string, kind: Kind, better?: "up" | "down"): Measure => ({
  name, label, kind, ...(better && { better }),
});

/** What a column can show. */
export const MEASURES = [
  define("spend", "Spend", "money"),
  define("impressions", "Impressions", "count"),
  define("reach", "Reach", "count", "up"),
  define("frequency", "Frequency", "decimal"),
  define("clicks", "Clicks", "count", "up"),
  define("link_clicks", "Link clicks", "count", "up"),
  define("ctr", "CTR (all)", "rate", "up"),
  define("link_ctr", "CTR (link)", "rate", "up"),
  define("cpc", "CPC (all)", "money", "down"),
  define("cost_per_link_click", "Cost per link click", "money", "down"),
  define("cpm", "CPM", "money", "down"),
  define("landing_page_views", "Landing page views", "count", "up"),
  define("add_to_cart", "Adds to cart", "count", "up"),
  define("initiate_checkout", "Checkouts initiated", "count", "up"),
  define("purchases", "Purchases", "count", "up"),
  define("purchase_value", "Revenue", "money", "up"),
  define("roas", "ROAS", "multiple", "up"),
  define("cost_per_purchase", "Cost per purchase", "money", "down"),
  define("average_order_value", "Average order value", "money", "up"),
  define("conversion_rate", "Conversion rate", "rate", "up"),
  define("profit", "Profit", "money", "up"),
  define("leads", "Leads", "count", "up"),
  define("cost_per_lead", "Cost per lead", "money", "down"),
  define("app_installs", "App installs", "count", "up"),
  define("cost_per_install", "Cost per install", "money", "down"),
  define("results", "Results", "count", "up"),
  define("cost_per_result", "Cost per result", "money", "down"),
  define("video_views", "Video views", "count", "up"),
  define("thruplays", "ThruPlays", "count", "up"),
];

const byName = new Map(MEASURES.map((measure) => [measure.name, measure]));

/** What the custom conversions that were read last are called, by their measures. */
export const conversionNames = signal<ReadonlyMap<string, string>>(new Map());

/** Measures of one action type of Meta's, each with its kind. */
const OF_ACTION = /^action(s|_values)\.([\w.-]{1,100})$/;

/** Returns a measure by its name in the API, if there is one. */
export function findMeasure(name: string): Measure | undefined {
  const [, of, action] = OF_ACTION.exec(name) ?? [];
  if (!action) return byName.get(name);
  return { name, label: conversionNames.value.get(`actions.${action}`) ?? action, kind: of === "s" ? "count" : "money" };
}

/** Returns a measure by its name in the API. */
export const measure = (name: string): Measure => findMeasure(name) ?? { name, label: name, kind: "decimal" };

/** Sets of columns that a person chooses from. */
export const COLUMN_SETS: Record<string, { label: string; measures: string[] }> = {
  performance: {
    label: "Performance",
    measures: ["spend", "purchases", "purchase_value", "roas", "cost_per_purchase", "ctr"],
  },
  delivery: { label: "Delivery", measures: ["spend", "impressions", "reach", "frequency", "clicks", "link_clicks", "ctr", "cpc", "cpm"] },
  sales: {
    label: "Sales",
    measures: ["spend", "landing_page_views", "add_to_cart", "initiate_checkout", "purchases", "purchase_value", "average_order_value", "roas"],
  },
  leads: { label: "Leads", measures: ["spend", "link_clicks", "leads", "cost_per_lead", "results", "cost_per_result", "ctr"] },
  video: { label: "Video", measures: ["spend", "impressions", "video_views", "thruplays", "cpm", "ctr"] },
};

/** Writes a value. `digits` are those of the currency. */
export function write({ kind }: Measure, value: string | number | undefined, digits: number): string {
  if (value === undefined) return UNKNOWN;
  switch (kind) {
    case "money":
      return decimal(value, digits);
    case "count":
      // Conversions may be fractions, by attribution.
      return decimal(value, Number.isInteger(Number(value)) ? 0 : 2);
    case "rate":
      return percent(value);
    case "multiple":
      return `${decimal(value, 2)}×`;
    case "decimal":
      return decimal(value, 2);
  }
}

/** Writes a value for an axis. */
export function writeShort({ kind }: Measure, value: number): string {
  return kind === "rate" ? percent(value, 1) : kind === "multiple" ? `${compact(value)}×` : compact(value);
}

export interface Delta {
  text: string;
  /** What to think of it. */
  tone: "good" | "bad" | "neutral";
}

const UNCHANGED = 0.005;

/** Writes a change against the period before. */
export function delta(of: Measure, change: Schemas["Change"] | undefined, previous: string | number | undefined): Delta | undefined {
  if (!change) return undefined;
  if (change.relative === undefined) {
    return Number(previous ?? 0) === 0 && Number(change.absolute) !== 0 ? { text: "new", tone: "neutral" } : undefined;
  }
  const relative = Number(change.relative);
  const size = percent(Math.abs(relative), 1);
  if (Math.abs(relative) < 0.0005) return { text: `= ${size}`, tone: "neutral" };
  if (Math.abs(relative) < UNCHANGED) return { text: `${relative > 0 ? "▲" : "▼"} ${size}`, tone: "neutral" };
  const isUp = relative > 0;
  const tone = of.better ? (isUp === (of.better === "up") ? "good" : "bad") : "neutral";
  return { text: `${isUp ? "▲" : "▼"} ${size}`, tone };
}
