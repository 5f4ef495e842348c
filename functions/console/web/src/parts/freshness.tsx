// How fresh the numbers of the ad account are, in the side bar of every page.

import { api, answer, type Schemas } from "../api";
import { live, offline } from "../network";
import { dayIn, moment, plural, zoneName } from "../format";
import { useResource } from "../resource";
import { systemNow } from "../session";
import { accountPath, adAccount, adAccounts, inWorkspace, nameOf } from "../store";

type Sync = Schemas["SyncStatus"];

/** Milliseconds between looks at a sync that runs, for each ad account: many share the workspace's requests. */
const RUNNING_MS = 500;
const MIN_RUNNING_MS = 1000;
/** Milliseconds between looks at one that rests. */
const RESTING_MS = 20_000;
/** Milliseconds after which a sync that was due is late. */
const LATE_MS = 15 * 60_000;

/** Returns how many weeks a sync still has to measure. */
export const openChunks = ({ chunks }: Sync): number => chunks.planned + chunks.running;

/** Reads how far the sync of an ad account is; often while it runs. */
export const useSync = (id: string | undefined) =>
  useResource(
    id && `sync:${id}`,
    (signal) => answer(api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/sync", { params: accountPath(id!), signal })),
    { every: (sync) => (isRunning(sync) ? Math.max(MIN_RUNNING_MS, RUNNING_MS * (adAccounts.value.data?.length ?? 1)) : RESTING_MS), keep: false, shows: [`ad_account:${id}`, `metrics:${id}`] },
  );

/** Returns whether there is something to see before the next hour. */
export const isRunning = (sync: Sync): boolean => sync.selected && (openChunks(sync) > 0 || sync.entities_synced_at === undefined);

const ARRIVAL = {
  starting: ["busy", "Connecting", "Changes show with the next reading."],
  live: ["good", "Live", "Changes show at once."],
  delayed: ["warning", "Delayed", "Changes show within seconds."],
  offline: ["bad", "Offline", "Reconnecting by itself."],
} as const;

/** How changes arrive. */
export function Arrival() {
  const [tone, label, title] = ARRIVAL[live.value];
  return <p class="arrival" data-live={live.value} title={title}><i class={`dot ${tone}`} />{label}</p>;
}

export function Freshness() {
  const account = adAccount.value;
  const found = useSync(account?.source ? undefined : account?.id);
  const sync = found.data;
  if (!account) return null;
  if (offline.value) return <Card tone="bad" title="Offline" lines={["Reconnecting by itself."]} />;
  if (account.source) return <Card tone="good" title="Imported" lines={[`Numbers are sent by ${account.source}.`]} />;
  if (found.error) return <Card tone="warning" title="Unknown" lines={["How fresh the numbers are could not be read."]} />;
  if (!sync) return <Card tone="none" title="…" lines={[""]} />;
  const zone = account.timezone;
  const today = dayIn(systemNow(), zone);
  const at = (time: string) => moment(time, zone, today);
  const place = zoneName(zone);
  const which = (adAccounts.value.data?.length ?? 0) > 1 ? [nameOf(account)] : [];
  if (sync.problem) {
    return <Card tone={sync.problem.kind === "failed" ? "bad" : "warning"} title={sync.problem.kind === "failed" ? "Sync failed" : "Behind"} lines={[...which, sync.problem.reason]} />;
  }
  if (!sync.entities_synced_at) return <Card tone="busy" title="First sync" lines={[...which, "Reading campaigns, ad sets and ads."]} />;
  const open = openChunks(sync);
  if (open > 0) {
    const done = sync.chunks.done + sync.chunks.failed;
    const waits = sync.waits_for && sync.next_sync_at ? [`Waits until ${at(sync.next_sync_at)}: ${sync.waits_for}`] : [];
    return <Card tone="busy" title={`Measuring ${done} of ${plural(done + open, "week")}`} lines={[...which, ...waits]} progress={done / (done + open)} />;
  }
  const lines = [...which, `Synced ${at(sync.entities_synced_at)} · ${place}`];
  if (sync.next_sync_at) lines.push(`Next ${at(sync.next_sync_at)}`);
  const differing = sync.totals.differing_days?.length ?? 0;
  if (differing > 0) return <Card tone="warning" title={`${plural(differing, "day")} differ from Meta`} lines={lines} />;
  if (sync.chunks.failed > 0) return <Card tone="warning" title={`${plural(sync.chunks.failed, "week")} failed`} lines={lines} />;
  const isLate = sync.next_sync_at !== undefined && systemNow().getTime() - Date.parse(sync.next_sync_at) > LATE_MS;
  return <Card tone={isLate ? "warning" : "good"} title={isLate ? "Late" : "Up to date"} lines={lines} />;
}

function Card({ tone, title, lines, progress }: { tone: string; title: string; lines: string[]; progress?: number }) {
  return (
    <a class="freshness" href={inWorkspace("connections")}>
      <b><i class={`dot ${tone}`} />{title}</b>
      {progress !== undefined && <progress value={progress} max={1} aria-label="Progress of the sync" />}
      {lines.map((line) => <small key={line}>{line}</small>)}
    </a>
  );
}
