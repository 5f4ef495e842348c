// The three levels of an ad account, and the view of them that the address names.

import type { Schemas } from "../api";
import { COLUMN_SETS, findMeasure } from "../measures";
import { params } from "../route";

export type Level = "campaign" | "adset" | "ad";
export type Entity = Schemas["EntityView"];

/** An entity in the table, with its place in the tree. */
export interface Row {
  entity: Entity;
  level: Level;
  depth: number;
}

interface LevelInfo {
  /** Its part of the API's paths. */
  path: "campaigns" | "adsets" | "ads";
  label: string;
  noun: string;
  below: Level | undefined;
}

export const LEVELS: Record<Level, LevelInfo> = {
  campaign: { path: "campaigns", label: "Campaigns", noun: "campaign", below: "adset" },
  adset: { path: "adsets", label: "Ad sets", noun: "ad set", below: "ad" },
  ad: { path: "ads", label: "Ads", noun: "ad", below: undefined },
};

/** States that a person filters by, each with the effective statuses that it stands for. */
export const STATES: Record<string, { label: string; has: (entity: Entity) => boolean; statuses: string[] }> = {
  active: { label: "Active", has: ({ effective_status }) => effective_status === "ACTIVE", statuses: ["ACTIVE"] },
  paused: {
    label: "Paused",
    has: ({ effective_status = "" }) => effective_status.endsWith("PAUSED"),
    statuses: ["PAUSED", "CAMPAIGN_PAUSED", "ADSET_PAUSED"],
  },
  problem: {
    label: "With issues",
    has: ({ effective_status = "" }) => ["WITH_ISSUES", "DISAPPROVED", "PENDING_BILLING_INFO"].includes(effective_status),
    statuses: ["WITH_ISSUES", "DISAPPROVED", "PENDING_BILLING_INFO"],
  },
};

export interface View {
  level: Level;
  /** Only what is in this campaign, or in this ad set. */
  campaign: string | undefined;
  adset: string | undefined;
  q: string;
  state: string | undefined;
  sort: string;
  order: "asc" | "desc";
  /** The name of a set, or measures with commas. */
  columns: string;
  expanded: string[];
  chart: boolean;
}

const text = (name: string) => params.value.get(name) ?? undefined;

/** Reads the view from the address. What it does not say is as usual. */
export function currentView(): View {
  const level = text("level");
  const state = text("status");
  const columns = text("cols");
  return {
    level: level === "adset" || level === "ad" ? level : "campaign",
    campaign: text("campaign"),
    adset: text("adset"),
    q: text("q") ?? "",
    state: state !== undefined && Object.hasOwn(STATES, state) ? state : undefined,
    sort: text("sort") ?? "spend",
    order: text("order") === "asc" ? "asc" : "desc",
    columns: columns !== undefined && (Object.hasOwn(COLUMN_SETS, columns) || columns.split(",").every(findMeasure)) ? columns : "performance",
    expanded: text("expand")?.split(",").filter(Boolean) ?? [],
    chart: text("chart") !== "none",
  };
}

/** Wider tables are not read, and slow. */
export const MAX_COLUMNS = 16;

/** Returns the measures that a view shows. */
export const measuresOf = ({ columns }: View): string[] => COLUMN_SETS[columns]?.measures ?? [...new Set(columns.split(","))].slice(0, MAX_COLUMNS);
