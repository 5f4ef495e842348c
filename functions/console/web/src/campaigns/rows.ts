// The rows of a view: read page by page, with what is expanded below them, filtered and sorted here once all are here.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, answer, type Schemas } from "../api";
import { isCompared, type Period } from "../period";
import { useResource, type Resource } from "../resource";
import { accountPath } from "../store";
import { LEVELS, measuresOf, STATES, type Entity, type Level, type Row, type View } from "./levels";
import { confirmed } from "./writes";

/** Rows that are read of a level. Beyond that the API filters and sorts. */
const MAX_ROWS = 5000;
const FIRST_PAGE = 100;
const PAGE = 500;

type List = Schemas["EntityList"];

export interface Loaded extends Omit<List, "data" | "after"> {
  rows: Entity[];
  /** Whether these are all rows. */
  complete: boolean;
}

interface Filter {
  campaign_id?: string;
  adset_id?: string;
  q?: string;
  ids?: string[];
  effective_status?: string[];
}

interface Query extends Filter {
  sort: string;
  order: "asc" | "desc";
}

/** Reads one page of a level. */
function page(account: string, level: Level, query: Record<string, unknown>, signal: AbortSignal): Promise<List> {
  // The three lists take the same parameters, and answer the same.
  const path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns" as const;
  const at = path.replace("campaigns", LEVELS[level].path) as typeof path;
  return answer(api.GET(at, { params: { ...accountPath(account), query: query as never }, signal }));
}

/** Reads the rows of a level, showing the first ones at once. */
async function loadRows(
  account: string, level: Level, query: Query, common: Record<string, unknown>, signal: AbortSignal, emit: (part: Loaded) => void,
): Promise<Loaded> {
  let found: Loaded | undefined;
  let after: string | undefined;
  do {
    const limit = found ? PAGE : FIRST_PAGE;
    const { data, after: next, ...rest } = await page(account, level, { ...common, ...query, limit, ...(after && { after }) }, signal);
    found = { ...rest, rows: [...(found?.rows ?? []), ...data], complete: next === undefined };
    after = next;
    if (after) emit(found);
  } while (after && found.rows.length < MAX_ROWS);
  return found;
}

interface Rows {
  list: Resource<Loaded>;
  /** The rows of the table, in their order. */
  rows: Row[];
  /** The totals of the rows that the view shows. */
  totals: Schemas["Totals"] | undefined;
  /** How many there are of each state. */
  counts: Record<string, number> | undefined;
  partError: Error | undefined;
}

const REFRESH_MS = 20_000;
/** Milliseconds more for each row: 5,000 are eleven requests, and the workspace's requests are shared. */
const REFRESH_MS_PER_ROW = 20;
const refreshMs = (rows: number) => Math.max(REFRESH_MS, rows * REFRESH_MS_PER_ROW);

export function useRows(account: string, view: View, period: Period): Rows {
  const { level, campaign, adset } = view;
  const common = {
    since: period.since, until: period.until, fields: fieldsOf(view), sparklines: ["spend"],
    ...(isCompared() && { compare: "previous_period" }),
  };
  const parent: Filter = { ...(campaign && { campaign_id: campaign }), ...(adset && { adset_id: adset }) };
  const shows = [`metrics:${account}`, `entities:${account}`];
  const base = `rows:${account}:${level}:${campaign}:${adset}:${JSON.stringify(common)}`;
  const q = useSettled(view.q.trim());
  // Where there are too many rows to have them all, what was read first is not read again.
  const isPartial = useRef("");
  const first = useResource<Loaded>(base, (signal, emit) =>
    loadRows(account, level, { ...parent, sort: "spend", order: "desc" }, common, signal, emit),
    { every: ({ rows, complete }) => (complete ? refreshMs(rows.length) : undefined), keep: false, shows: isPartial.current === base ? [] : shows });
  if (first.data && !first.loading) isPartial.current = first.data.complete ? "" : base;
  // Where there are too many rows to have them all, the API filters and sorts.
  const isLarge = first.data !== undefined && !first.loading && !first.data.complete;
  const filters: Filter = {
    ...(q && (isId(q) && (isLarge || first.data?.rows.some(({ id }) => id === q)) ? { ids: [q] } : { q })),
    ...(view.state && { effective_status: STATES[view.state]!.statuses }),
  };
  const asked = { ...parent, ...filters, sort: view.sort, order: view.order };
  const large = useResource<Loaded>(isLarge ? `${base}:${JSON.stringify(asked)}` : undefined, (signal, emit) =>
    loadRows(account, level, asked, common, signal, emit), { every: ({ rows }) => refreshMs(rows.length), keep: false, shows });
  const isFiltered = Object.keys(filters).length > 0;
  const filtered = useResource(isFiltered && !isLarge ? `rows:totals:${base}:${JSON.stringify(filters)}` : undefined, (signal) =>
    page(account, level, { ...common, ...parent, ...filters, sort: "spend", order: "desc", limit: 1 }, signal), { keep: false, every: REFRESH_MS, shows });

  const list = isLarge ? large : first;
  const read = list.data?.rows;
  const changes = confirmed.value;
  const entities = useMemo(() => (read ?? []).map((entity) => withConfirmed(entity, changes)), [read, changes]);
  const children = useChildren(account, view, entities, common);
  const { q: typed, state, sort, order } = view;
  const shown = useMemo(
    () => (isLarge ? entities : sorted(entities.filter(matcher(view)), view)),
    [entities, isLarge, typed, state, sort, order],
  );
  const rows = useMemo(
    () => shown.flatMap((entity) => withChildren({ entity, level, depth: 0 }, view, children.data, changes)),
    [shown, children.data, changes, view.expanded.join()],
  );
  // While somebody types, the rows are ahead of the totals.
  const isSettled = isLarge || q === view.q.trim();
  const totals = !isSettled ? undefined : isFiltered && !isLarge ? filtered.data?.totals : list.data?.totals;
  const isComplete = first.data?.complete === true;
  const counts = useMemo(
    () => (isComplete ? Object.fromEntries(Object.entries(STATES).map(([name, { has }]) => [name, entities.filter(has).length])) : undefined),
    [isComplete, entities],
  );
  return { list, rows, totals, counts, partError: children.error ?? filtered.error };
}

/** Returns the measures to read: those that are shown, and the one that orders the rows. */
function fieldsOf(view: View): string[] {
  const shown = measuresOf(view);
  const isMeasure = !["name", "effective_status", "daily_budget"].includes(view.sort);
  return isMeasure && !shown.includes(view.sort) ? [...shown, view.sort] : shown;
}

/** Returns whether a search is for the id of an object. */
const isId = (text: string) => /^\d{8,}$/.test(text);

/** Returns an entity as its last change was confirmed. */
function withConfirmed(entity: Entity, changes: ReadonlyMap<string, Partial<Entity>>): Entity {
  const change = changes.get(entity.id);
  return change ? { ...entity, ...change } : entity;
}

const SETTLED_MS = 250;

/** Returns a text once nobody has typed for a moment: each one is a request. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), text === "" ? 0 : SETTLED_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

/** Writes a text as it is searched: a letter with its mark is the same, however it was typed. */
const searched = (text: string) => text.normalize("NFC").toLowerCase();

/** Returns whether an entity passes the filters of a view. */
function matcher({ q, state }: View): (entity: Entity) => boolean {
  const wanted = searched(q.trim());
  const has = state ? STATES[state]!.has : () => true;
  return (entity) => has(entity) && (searched(entity.name ?? "").includes(wanted) || entity.id === wanted);
}

const collator = new Intl.Collator();

/** Sorts entities as the API does: unknown values come last either way, and the id decides between equal ones. */
function sorted(entities: Entity[], { sort, order }: View): Entity[] {
  const sign = order === "asc" ? 1 : -1;
  const text = (entity: Entity): string | undefined =>
    sort === "name" ? entity.name : sort === "effective_status" ? entity.effective_status : undefined;
  const isText = sort === "name" || sort === "effective_status";
  const number = (entity: Entity): number | undefined => {
    const value = sort === "daily_budget" ? entity.daily_budget?.amount : entity.measures[sort];
    return value === undefined ? undefined : Number(value);
  };
  const keyed = entities.map((entity) => ({ entity, key: isText ? text(entity) : number(entity) }));
  keyed.sort((a, b) => {
    if (a.key !== b.key) {
      if (a.key === undefined) return 1;
      if (b.key === undefined) return -1;
      const difference = isText ? collator.compare(a.key as string, b.key as string) : (a.key as number) - (b.key as number);
      if (difference !== 0) return difference * sign;
    }
    return a.entity.id < b.entity.id ? -1 : 1;
  });
  return keyed.map(({ entity }) => entity);
}

type Children = Map<string, Entity[]>;

/** Reads what is below the expanded rows. */
function useChildren(account: string, { expanded, level }: View, entities: Entity[], common: Record<string, unknown>): Resource<Children> {
  const roots = entities.map(({ id }) => id).filter((id) => expanded.includes(id)).sort();
  const base = `children:${account}:${level}:${JSON.stringify(common)}`;
  const before = useRef<{ key: string; found: Children }>({ key: "", found: new Map() });
  const key = roots.length > 0 && level !== "ad" ? `${base}:${roots}:${expanded}` : undefined;
  return useResource<Children>(key, async (signal, emit) => {
    // What is open already stays on the page while another row opens.
    const found: Children = new Map(before.current.key === base ? before.current.found : []);
    const load = async (id: string, at: Level, filter: Filter) => {
      const { rows } = await loadRows(account, at, { ...filter, sort: "spend", order: "desc" }, common, signal, () => {});
      found.set(id, rows);
      emit(new Map(found));
      return rows;
    };
    await Promise.all(roots.map(async (id) => {
      if (level === "adset") await load(id, "ad", { adset_id: id });
      else {
        const adsets = await load(id, "adset", { campaign_id: id });
        await Promise.all(adsets.filter((adset) => expanded.includes(adset.id)).map((adset) => load(adset.id, "ad", { adset_id: adset.id })));
      }
    }));
    before.current = { key: base, found };
    return found;
  }, { every: REFRESH_MS, shows: [`metrics:${account}`, `entities:${account}`] });
}

function withChildren(row: Row, view: View, children: Children | undefined, changes: ReadonlyMap<string, Partial<Entity>>): Row[] {
  const below = LEVELS[row.level].below;
  if (!below || !view.expanded.includes(row.entity.id)) return [row];
  const found = sorted((children?.get(row.entity.id) ?? []).map((entity) => withConfirmed(entity, changes)), view);
  return [row, ...found.flatMap((entity) => withChildren({ entity, level: below, depth: row.depth + 1 }, view, children, changes))];
}
