// Numbers over a period: the totals in tiles, and their course by day in a chart.

import { useRef } from "preact/hooks";
import { api, answer, type Schemas } from "./api";
import { days as writeDays } from "./format";
import type { Change } from "./changes";
import { lazy } from "./lazy";
import { measure, type Values } from "./measures";
import type { Line } from "./parts/plot";
import { Failure, Skeleton } from "./parts/states";
import { Tiles } from "./parts/tiles";
import { daysOf, daysParams, isCompared, type Period } from "./period";
import { useResource, type Resource } from "./resource";
import { setParams } from "./route";

/** The canvas comes after the numbers: it is the largest part of the page. */
const Chart = lazy(() => import("./parts/chart"), <Skeleton lines={1} height={290} />);

type Answer = Schemas["QueryAnswer"];
type Query = Schemas["Query"];

/** What numbers are about: a query without its measures and dimensions. */
export interface Scope {
  workspace: string;
  ids: string[];
  level: Query["level"];
  filters: Schemas["Filter"][];
  period: Period;
}

/** The measures of the tiles. The first, and spend, are drawn by day. */
const SALES = ["purchase_value", "spend", "roas", "purchases", "cost_per_purchase", "ctr"];
const LEADS = ["leads", "spend", "cost_per_lead", "link_clicks", "cost_per_link_click", "ctr"];
const TRAFFIC = ["link_clicks", "spend", "cost_per_link_click", "impressions", "cpm", "ctr"];
const ASKED = [...new Set([...SALES, ...LEADS, ...TRAFFIC])];

/** Returns the measures that say most: of sales unless none is known, then of leads. */
function tilesOf(totals: Answer["totals"] | undefined): string[] {
  const has = (name: "purchases" | "leads") => totals?.measures[name] !== undefined || totals?.previous?.[name] !== undefined;
  return totals === undefined || has("purchases") ? SALES : has("leads") ? LEADS : TRAFFIC;
}

/** Milliseconds after which the numbers of a view are read again. */
const REFRESH_MS = 30_000;
/** Milliseconds alike while some of them are being measured: at first often, then less, because Meta may make it wait. */
const PENDING_MS = 3000;
const PENDING_GROWTH = 1.3;
const PAGE_ROWS = 500;

/** Reads the answer to a query, with all its pages. */
async function query(workspace: string, body: Query, signal: AbortSignal): Promise<Answer> {
  const ask = (after?: string) =>
    answer(api.POST("/v1/workspaces/{workspace}/query", { params: { path: { workspace } }, body: { ...body, ...(after && { after }) }, signal }));
  const found = await ask();
  let { after } = found;
  while (after) {
    const next = await ask(after);
    found.data.push(...next.data);
    after = next.after;
  }
  return found;
}

/** Reads measures of a scope, split by `dimensions`. Without a scope nothing is read. */
export function useNumbers(
  scope: Scope | undefined, measures: string[], dimensions: Query["dimensions"], { compared = true, ...rest }: { compared?: boolean } & Pick<Query, "order" | "fill_zeros"> = {},
): Resource<Answer> {
  const body: Query = {
    ad_accounts: scope?.ids ?? [], level: scope?.level ?? "account", measures, ...(dimensions && { dimensions }),
    filters: scope?.filters ?? [], range: { since: scope?.period.since ?? "", until: scope?.period.until ?? "" }, limit: PAGE_ROWS,
    ...(compared && isCompared() && { compare: "previous_period" as const }), ...rest,
  };
  const looks = useRef(0);
  const every = (data: Answer) => {
    looks.current = isPending(data) ? looks.current + 1 : 0;
    return looks.current > 0 ? Math.min(REFRESH_MS, PENDING_MS * PENDING_GROWTH ** (looks.current - 1)) : REFRESH_MS;
  };
  const key = scope && `query:${scope.workspace}:${JSON.stringify(body)}`;
  return useResource(key, (signal) => query(scope!.workspace, body, signal), { every, shows: scope?.ids.map((id) => `metrics:${id}`) ?? [] });
}

/** Returns whether some of the days are being measured. */
export const isPending = ({ ad_accounts }: Answer): boolean =>
  ad_accounts.some(({ incomplete_days }) => incomplete_days.some(({ state }) => state === "pending"));

/** Reads the tiles' measures by day. */
export const useDays = (scope: Scope | undefined): Resource<Answer> => useNumbers(scope, ASKED, ["day"], { fill_zeros: true });

type Texts = (string | null)[];

interface Series {
  now: Record<string, Texts>;
  before: Record<string, Texts>;
}

/** Puts rows of days into a series per measure. Several rows of a day are added where that is possible. */
function seriesOf({ data }: Answer, days: string[], measures: string[]): Series {
  const index = new Map(days.map((day, at) => [day, at]));
  const empty = () => Object.fromEntries(measures.map((name) => [name, days.map((): string | null => null)]));
  const series: Series = { now: empty(), before: empty() };
  const several = new Set(data.map(({ id, ad_account }) => id ?? ad_account)).size > 1;
  const put = (into: Record<string, Texts>, at: number, values: Values | undefined) => {
    for (const name of measures) {
      const value = values?.[name];
      // A ratio of several rows is not the sum of theirs, and is not drawn.
      if (value === undefined || (several && !isAdditive(name))) continue;
      const old = into[name]![at] ?? null;
      into[name]![at] = old === null ? String(value) : addDecimals(old, String(value));
    }
  };
  for (const { dimensions, measures: values, previous } of data) {
    const at = index.get(dimensions?.day ?? "");
    if (at === undefined) continue;
    put(series.now, at, values);
    put(series.before, at, previous);
  }
  return series;
}

const isAdditive = (name: string) => measure(name).kind === "count" || ["spend", "purchase_value", "profit"].includes(name);

/** Adds two decimals without losing a digit. */
export function addDecimals(a: string, b: string): string {
  const scale = Math.max(a.split(".")[1]?.length ?? 0, b.split(".")[1]?.length ?? 0);
  const scaled = (text: string) => {
    const [whole, rest = ""] = text.split(".");
    return BigInt(whole + rest.padEnd(scale, "0"));
  };
  const sum = scaled(a) + scaled(b);
  const digits = (sum < 0n ? -sum : sum).toString().padStart(scale + 1, "0");
  const sign = sum < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Returns the days of a period whose numbers are not complete in one of the accounts. */
function incompleteDays(accounts: Answer["ad_accounts"], days: string[]): string[] {
  const ranges = accounts.flatMap(({ incomplete_days }) => incomplete_days);
  return days.filter((day) => ranges.some(({ since, until }) => since <= day && day <= until));
}

/** The tiles of the totals, and the chart of revenue and spend, or of what there is instead. `note` ends the chart's title. */
export function TilesAndChart({ name, note = "", daily, changes, period, digits, timezone }: {
  name: string;
  note?: string;
  daily: Resource<Answer>;
  changes: Resource<Change[]>;
  period: Period;
  digits: number;
  timezone: string;
}) {
  const days = daysOf(period);
  const { data } = daily;
  const isCurrent = data !== undefined && data.since === period.since && data.until === period.until;
  const shown = isCurrent ? days : data ? daysOf(data) : days;
  const tiles = tilesOf(data?.totals);
  const drawn = tiles[0]!;
  const series = data && seriesOf(data, shown, tiles);
  const line = (of: string, tone: Line["tone"]): Line => ({
    measure: of, label: measure(of).label, tone, values: series!.now[of]!, ...(data!.compared && { previous: series!.before[of]! }),
  });
  return (
    <>
      {daily.error && <Failure what="The numbers could not be read." error={daily.error} retry={daily.reload} />}
      <Tiles measures={tiles} totals={data?.totals} series={series?.now ?? {}} currency={data?.currency ?? ""} digits={digits} busy={daily.loading} />
      {data
        ? (
          <Chart
            title={`${measure(drawn).label} and spend${note}`} name={name} digits={digits} currency={data.currency} timezone={timezone} busy={daily.loading}
            data={{ days: shown, incomplete: incompleteDays(data.ad_accounts, shown), lines: [line(drawn, "main"), line("spend", "spend")] }}
            changes={changes} totals={data.totals.measures} comparedLabel={data.compared && writeDays(data.compared.since, data.compared.until)}
            onSelect={(since, until) => setParams(daysParams(since, until), { push: true })}
          />
        )
        : !daily.error && <Skeleton lines={1} height={290} />}
    </>
  );
}
