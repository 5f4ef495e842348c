// Campaigns, ad sets and ads with their numbers: the table that a media buyer works in.

import { useState } from "preact/hooks";
import type { Schemas } from "../api";
import { BudgetCell, DeliveryCell, MeasureCell, NameCell, switched, toggleRow } from "../campaigns/cells";
import { currentView, LEVELS, measuresOf, STATES, type Level, type Row, type View } from "../campaigns/levels";
import { useRows } from "../campaigns/rows";
import { Columns } from "../campaigns/columns";
import { useConversions } from "../campaigns/conversions";
import { ReachNote } from "../campaigns/reach";
import { change, pending } from "../campaigns/writes";
import { useChanges } from "../changes";
import { plural, words } from "../format";
import { lazy } from "../lazy";
import { COLUMN_SETS, measure } from "../measures";
import { TilesAndChart, useDays } from "../numbers";
import { CsvButton } from "../parts/csv-button";
import { download } from "../parts/download";
import { useSync } from "../parts/freshness";
import { Grid, type Column } from "../parts/grid";
import { Icon } from "../parts/icons";
import { narrow } from "../parts/narrow";
import { dense, ownColumns, toggleDensity } from "../parts/preferences";
import { CompareToggle, RangePicker } from "../parts/range";
import { Head } from "../parts/shell";
import { Sparkline } from "../parts/sparkline";
import { Empty, Failure, Skeleton } from "../parts/states";
import { currentPeriod, type Period } from "../period";
import { navigate, path, setParams } from "../route";
import { adAccount, adAccounts, can, digitsOf, inWorkspace, nameOf, type AdAccount } from "../store";

const BulkBar = lazy(() => import("../campaigns/bulk"));

/** The choice that opens a dialog. */
const CHOOSE = "choose";

export default function Campaigns() {
  const account = adAccount.value;
  if (!account) {
    return (
      <>
        <Head title="Campaigns" />
        {adAccounts.value.data
          ? <Empty title="This ad account is not synced here" action={<a class="button primary" href={inWorkspace("connections")}>Connections</a>}>Start syncing it to see its campaigns.</Empty>
          : <Skeleton lines={8} height={46} />}
      </>
    );
  }
  return <Table key={account.id} account={account} />;
}

function Table({ account }: { account: AdAccount }) {
  const view = currentView();
  const period = currentPeriod(account.timezone);
  const digits = digitsOf(account);
  const { list, rows, totals, counts, partError } = useRows(account.id, view, period);
  useConversions(account, measuresOf(view).some((name) => name.startsWith("action")));
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [editing, setEditing] = useState<string>();
  // What is not in the table is not acted on.
  const chosen = selected.size > 0 ? rows.filter(({ entity }) => selected.has(entity.id)) : [];
  const { label, noun } = LEVELS[view.level];
  const sync = useSync(account.source ? undefined : account.id).data;
  const columns = columnsOf(account, view, totals, rows.filter(({ depth }) => depth === 0).length, digits, editing, setEditing);
  const isFirstSync = sync && sync.entities_synced_at === undefined;
  const sort = (by: string) => {
    const order = view.sort === by && view.order === "desc" ? "asc" : "desc";
    setParams({ sort: by === "spend" ? undefined : by, order: order === "desc" ? undefined : order });
  };
  const onKey = (key: string, row: Row): boolean => {
    if (key === "o" && LEVELS[row.level].below) toggleRow(view, row.entity.id);
    else if (key === "Enter") navigate(inWorkspace(`${account.id}/campaigns/${row.entity.id}?level=${row.level}`));
    else if (key === "e" && can("editor") && row.entity.daily_budget) setEditing(() => row.entity.id);
    else if (key === "p" && can("editor") && !account.source) {
      const next = pending.value.has(row.entity.id) ? undefined : switched(row.entity.status);
      if (next) void change({ account, level: row.level, entity: row.entity }, { status: next }).catch(() => {});
    } else return false;
    return true;
  };
  return (
    <>
      <Head title="Campaigns" account>
        <RangePicker period={period} timezone={account.timezone} />
        <CompareToggle />
        <button type="button" class={`icon-button${view.chart ? " on" : ""}`} aria-pressed={view.chart} aria-label="Chart" title="Chart" onClick={() => setParams({ chart: view.chart ? "none" : undefined })}><Icon name="chart" /></button>
      </Head>
      {view.chart && <Numbers account={account} view={view} period={period} digits={digits} />}
      {list.error && <Failure what={`The ${noun}s could not be read.`} error={list.error} retry={list.reload} />}
      {partError && <Failure what="The totals, or what is below an open row, could not be read." error={partError} />}
      <section class="card table-card" aria-label={label}>
        <Toolbar account={account} view={view} counts={counts} total={list.data?.rows.length} period={period} />
        {!list.data && !list.error && <Skeleton lines={8} height={rowHeight()} />}
        {list.data && rows.length === 0 && !list.loading && (
          isFirstSync
            ? <Empty title="The first sync is running">Campaigns appear here as soon as they are read from Meta.</Empty>
            : view.q || view.state || view.campaign || view.adset
              ? <Empty title={`No ${noun} matches`} action={<button type="button" class="button" onClick={() => setParams({ q: undefined, status: undefined, campaign: undefined, adset: undefined })}>Show all</button>} />
              : <Empty title={`This ad account has no ${noun} yet`}>What is made in Ads Manager appears here with the next sync.</Empty>
        )}
        {rows.length > 0 && (
          <Grid
            label={`${label} of ${nameOf(account)}`} columns={columns} rows={rows} keyOf={({ entity }) => entity.id} rowHeight={rowHeight()}
            sort={{ by: view.sort, order: view.order }} onSort={sort} busy={list.loading || (!totals && !partError)} onKey={onKey}
            selected={new Set(chosen.map(({ entity }) => entity.id))}
            onSelect={can("editor") && !account.source && !narrow.value ? setSelected : undefined}
          />
        )}
        <ReachNote account={account} level={view.level} reach={list.data?.reach} />
        {list.data && !list.data.complete && !list.loading && (
          <p class="fine note">These are the first {plural(list.data.rows.length, noun)}. The totals are those of all; search or sort to see others.</p>
        )}
      </section>
      {chosen.length > 0 && <BulkBar account={account} rows={chosen} onDone={(left) => setSelected(new Set(left.map(({ entity }) => entity.id)))} />}
    </>
  );
}

const rowHeight = () => (dense.value ? 32 : 46);

function columnsOf(
  account: AdAccount, view: View, totals: Schemas["Totals"] | undefined, count: number, digits: number,
  editing: string | undefined, setEditing: (change: (now: string | undefined) => string | undefined) => void,
): Column<Row>[] {
  const { noun } = LEVELS[view.level];
  const name: Column<Row> = {
    id: "name", label: words(noun), width: narrow.value ? 190 : 232, sortable: true,
    cell: (row) => <NameCell row={row} view={view} account={account} />, total: totals ? plural(count, noun) : "…",
  };
  const widths = { money: 104, count: 88, rate: 84, multiple: 80, decimal: 88 };
  const delivery: Column<Row> = {
    id: "effective_status", label: "Delivery", width: 136, sortable: true, cell: (row) => <DeliveryCell row={row} account={account} tabIndex={-1} />, total: "Total",
  };
  const budget: Column<Row> = {
    id: "daily_budget", label: "Daily budget", width: 112, number: true, sortable: true, total: "",
    cell: (row) => <BudgetCell row={row} account={account} editing={editing === row.entity.id} onEdit={setEditing} tabIndex={-1} />,
  };
  return [
    name,
    // On a phone the name has the state below it, and the budget is on the page of the object.
    ...(narrow.value ? [] : view.level === "ad" ? [delivery] : [delivery, budget]),
    ...measuresOf(view).map((name): Column<Row> => {
      const of = measure(name);
      return {
        id: name, label: of.label, width: Math.max(widths[of.kind], of.label.length * 6.4 + 28), number: true, sortable: true,
        ...(of.kind === "money" && { title: `${of.label} in ${account.currency}` }),
        cell: ({ entity }) => <MeasureCell name={name} values={entity.measures} change={entity.change} previous={entity.previous} digits={digits} />,
        total: <MeasureCell name={name} values={totals?.measures} change={totals?.change} previous={totals?.previous} digits={digits} />,
      };
    }),
    { id: "trend", label: "Spend by day", width: 108, cell: ({ entity }) => <Sparkline values={entity.sparklines?.["spend"] ?? []} tone="spend" />, total: "" },
  ];
}

function Toolbar({ account, view, counts, total, period }: { account: AdAccount; view: View; counts: Record<string, number> | undefined; total: number | undefined; period: Period }) {
  const parents = [view.campaign, view.adset].filter((id) => id !== undefined);
  const [choosing, setChoosing] = useState(false);
  const chooseColumns = (wanted: string) => {
    if (wanted === CHOOSE) setChoosing(true);
    else setParams({ cols: wanted === "performance" ? undefined : wanted });
  };
  return (
    <div class="toolbar">
      <div class="segments" role="group" aria-label="Level">
        {(Object.keys(LEVELS) as Level[]).map((level) => (
          <button
            key={level} type="button" aria-pressed={view.level === level}
            onClick={() => setParams({ level: level === "campaign" ? undefined : level, ...(level === "campaign" && { campaign: undefined, adset: undefined }), expand: undefined }, { push: true })}
          >
            {LEVELS[level].label}
          </button>
        ))}
      </div>
      <div class="chips" role="group" aria-label="State">
        <button type="button" aria-pressed={!view.state} onClick={() => setParams({ status: undefined })}>All <b>{counts ? total : "…"}</b></button>
        {Object.entries(STATES).map(([name, { label }]) => (
          <button key={name} type="button" aria-pressed={view.state === name} onClick={() => setParams({ status: view.state === name ? undefined : name })}>
            {label} <b>{counts ? counts[name] : "…"}</b>
          </button>
        ))}
      </div>
      {parents.length > 0 && (
        <button type="button" class="chip-close" onClick={() => setParams({ campaign: undefined, adset: undefined })}>
          Only in one {view.adset ? "ad set" : "campaign"} <Icon name="close" />
        </button>
      )}
      <div class="toolbar-end">
        <label class="find">
          <Icon name="search" />
          <input
            type="search" data-find placeholder={`Find ${LEVELS[view.level].noun}s`} aria-label={`Find ${LEVELS[view.level].noun}s`} value={view.q}
            onInput={(event) => setParams({ q: event.currentTarget.value || undefined })}
            onKeyDown={(event) => event.key === "Escape" && !event.isComposing && (event.currentTarget.blur(), setParams({ q: undefined }))}
          />
          <kbd>/</kbd>
        </label>
        <label class="select">
          <Icon name="columns" />
          <select aria-label="Columns" value={view.columns} onChange={(event) => chooseColumns(event.currentTarget.value)}>
            {Object.entries(COLUMN_SETS).map(([name, { label }]) => <option key={name} value={name}>{label}</option>)}
            {ownColumns.value && <option value={ownColumns.value}>Own columns</option>}
            {!COLUMN_SETS[view.columns] && view.columns !== ownColumns.value && <option value={view.columns}>Columns of the link</option>}
            <option value={CHOOSE}>Choose columns …</option>
          </select>
        </label>
        {choosing && <Columns account={account} shown={measuresOf(view)} onClose={() => setChoosing(false)} />}
        <button type="button" class="icon-button" aria-pressed={dense.value} aria-label="Rows with one line" title="Rows with one line" onClick={toggleDensity}><Icon name="rows" /></button>
        <CsvButton label="Download all as CSV" onClick={() => void download(account, { level: view.level, since: period.since, until: period.until })} />
      </div>
    </div>
  );
}

/** The tiles and the chart, over what the table is about. */
function Numbers({ account, view, period, digits }: { account: AdAccount; view: View; period: Period; digits: number }) {
  const filters: Schemas["Filter"][] = [];
  if (view.campaign) filters.push({ field: "campaign", op: "in", value: [view.campaign] });
  if (view.adset) filters.push({ field: "adset", op: "in", value: [view.adset] });
  if (view.level === "campaign" && view.q) filters.push({ field: "name", op: "contains", value: view.q });
  if (view.level === "campaign" && view.state) filters.push({ field: "effective_status", op: "in", value: STATES[view.state]!.statuses as never });
  const daily = useDays({ workspace: path.value[1]!, ids: [account.id], level: view.adset ? "adset" : "account", filters, period });
  const isWhole = view.level !== "campaign" && (view.q !== "" || view.state !== undefined);
  const changes = useChanges([account], period, view.adset || view.campaign || undefined);
  return <TilesAndChart name="campaigns" note={isWhole ? ", without search and state" : ""} daily={daily} changes={changes} period={period} digits={digits} timezone={account.timezone} />;
}
