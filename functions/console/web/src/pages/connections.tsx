// Connections to Meta and the ad accounts that they reach: connect, select, and watch how far the numbers are.

import { useEffect, useState } from "preact/hooks";
import { api, answer, type Schemas } from "../api";
import { ago, dayIn, moment, plural, words, zoneName } from "../format";
import { Dialog } from "../parts/dialog";
import { isRunning, openChunks, useSync } from "../parts/freshness";
import { Icon } from "../parts/icons";
import { Head } from "../parts/shell";
import { Banner, Empty, Failure, Skeleton } from "../parts/states";
import { notify } from "../parts/toast";
import { invalidate, useResource } from "../resource";
import { params, path, setParams } from "../route";
import { systemNow } from "../session";
import { accountPath, can, inWorkspace, nameOf, type AdAccount } from "../store";

type Connection = Schemas["ConnectionView"];

export default function Connections() {
  const workspace = path.value[1]!;
  const at = { path: { workspace } };
  const connections = useResource(`connections:${workspace}`, (signal) => answer(api.GET("/v1/workspaces/{workspace}/connections", { params: at, signal })), { every: 15_000, shows: ["connections"] });
  const health = useResource(`health:${workspace}`, (signal) => answer(api.GET("/v1/workspaces/{workspace}/health", { params: at, signal })), { every: 30_000, shows: ["connections", "ad_account"] });
  const outcome = params.value.get("outcome");
  const [system, setSystem] = useState(false);
  useEffect(() => void (outcome === "connected" && invalidate("ad-accounts:")), [outcome]);
  return (
    <>
      <Head title="Connections">
        {can("owner") && <button type="button" class="button" onClick={() => setSystem(true)}>Connect a system user</button>}
        {can("owner") && <button type="button" class="button primary" onClick={() => void connect(workspace)}><Icon name="plus" />Connect Meta</button>}
      </Head>
      {outcome && <Outcome outcome={outcome} error={params.value.get("error")} />}
      {health.data?.problems.map(({ subject, id, message, next_step }) => (
        <Banner tone="warning" key={`${subject}-${id}-${message}`}><strong>{message}</strong> {next_step}</Banner>
      ))}
      {connections.error && <Failure what="The connections could not be read." error={connections.error} retry={connections.reload} />}
      {!connections.data && !connections.error && <Skeleton lines={2} height={96} />}
      {connections.data?.data.length === 0 && (
        <Empty title="Nothing is connected yet">
          {can("owner")
            ? "Connect Meta, choose ad accounts in its dialog, and say which of them to keep up to date."
            : "An owner of this workspace can connect Meta."}
        </Empty>
      )}
      <div class="cards">
        {connections.data?.data.map((connection) => <ConnectionCard key={connection.id} connection={connection} workspace={workspace} />)}
      </div>
      {(connections.data?.data.length ?? 0) > 0 && <AdAccounts workspace={workspace} />}
      {system && <SystemUser workspace={workspace} onClose={() => setSystem(false)} />}
    </>
  );
}

/** Begins a login at Meta. The browser comes back to this page. */
async function connect(workspace: string, rerequest?: string[]): Promise<void> {
  try {
    const { start_url } = await answer(api.POST("/v1/workspaces/{workspace}/connections/meta/authorize", {
      params: { path: { workspace } },
      body: { return_url: `${location.origin}${inWorkspace("connections")}`, ...(rerequest && { rerequest: rerequest as never }) },
    }));
    location.assign(start_url);
  } catch (error) {
    notify(`The login at Meta could not begin: ${(error as Error).message}`, { tone: "bad" });
  }
}

function Outcome({ outcome, error }: { outcome: string; error: string | null }) {
  const dismiss = () => setParams({ outcome: undefined, error: undefined });
  const text = outcome === "connected"
    ? "Meta is connected. The ad accounts that you chose are being read now."
    : outcome === "cancelled"
      ? "You left Meta’s dialog, and nothing was connected."
      : `Meta was not connected${error ? ` (${words(error).toLowerCase()})` : ""}. Try once more; if it stays, look at what your Facebook user may do in the business at Meta.`;
  return (
    <div class={`banner ${outcome === "connected" ? "good" : "warning"}`} role="status">
      <Icon name={outcome === "connected" ? "check" : "warning"} /><div>{text}</div>
      <button type="button" class="icon-button" aria-label="Dismiss" onClick={dismiss}><Icon name="close" /></button>
    </div>
  );
}

const STATES: Record<Connection["state"], { label: string; tone: string }> = {
  connected: { label: "Connected", tone: "good" },
  expiring: { label: "Expires soon", tone: "warning" },
  needs_reconnect: { label: "Connect again", tone: "bad" },
  lost_permission: { label: "A permission is missing", tone: "bad" },
};

const KINDS: Record<Connection["kind"], string> = { classic: "Facebook Login", business: "Login for Business", system_user: "System user" };

function ConnectionCard({ connection, workspace }: { connection: Connection; workspace: string }) {
  const [deleting, setDeleting] = useState(false);
  const { label, tone } = STATES[connection.state];
  const remove = async () => {
    setDeleting(false);
    try {
      await answer(api.DELETE("/v1/workspaces/{workspace}/connections/{connection}", { params: { path: { workspace, connection: connection.id } } }));
      notify("The connection and its token are gone. What was stored stays.");
    } catch (error) {
      notify(`The connection was not deleted: ${(error as Error).message}`, { tone: "bad" });
    }
    for (const prefix of ["connections:", "accounts:", "ad-accounts:", "health:"]) invalidate(prefix);
  };
  return (
    <section class="card" aria-label={`Connection ${connection.id}`}>
      <h2><i class={`dot ${tone}`} />{label}</h2>
      <p>{KINDS[connection.kind]}{connection.granted_ad_account_count !== undefined && ` · ${plural(connection.granted_ad_account_count, "ad account")}`}</p>
      {connection.reason && <p class="bad-text">{connection.reason}</p>}
      {connection.next_step && <p>{connection.next_step}</p>}
      <p class="fine">
        Since {ago(connection.connected_at, systemNow())}
        {connection.checked_at && ` · checked ${ago(connection.checked_at, systemNow())}`}
        {connection.expires_at && ` · token until ${moment(connection.expires_at, "UTC")} UTC`}
      </p>
      {connection.discovery?.state === "running" && <p role="status">Ad accounts are being read: {connection.discovery.found ?? 0} so far.</p>}
      {connection.declined.length > 0 && (
        <p>
          Not granted: {connection.declined.join(", ")}. {can("owner") && <button type="button" class="button" onClick={() => void connect(workspace, connection.declined)}>Ask again</button>}
        </p>
      )}
      {can("owner") && (
        <p class="actions">
          {tone !== "good" && <button type="button" class="button primary" onClick={() => void connect(workspace)}>Connect again</button>}
          <button type="button" class="button" onClick={() => setDeleting(true)}>Disconnect …</button>
        </p>
      )}
      {deleting && (
        <Dialog title="Disconnect Meta?" onClose={() => setDeleting(false)}>
          <p>Its token is forgotten and its ad accounts are not synced any more. What was stored stays. To go back you log in at Meta again.</p>
          <p class="actions">
            <button type="button" class="button danger" onClick={() => void remove()}>Disconnect</button>
            <button type="button" class="button" onClick={() => setDeleting(false)} autofocus>Cancel</button>
          </p>
        </Dialog>
      )}
    </section>
  );
}

function SystemUser({ workspace, onClose }: { workspace: string; onClose: () => void }) {
  const [token, setToken] = useState("");
  const [refusal, setRefusal] = useState<string>();
  const save = async (event: Event) => {
    event.preventDefault();
    try {
      await answer(api.POST("/v1/workspaces/{workspace}/connections/meta/token", { params: { path: { workspace } }, body: { token } }));
      onClose();
      for (const prefix of ["connections:", "accounts:", "health:"]) invalidate(prefix);
      notify("The system user is connected.");
    } catch (error) {
      setRefusal((error as Error).message);
    }
  };
  return (
    <Dialog title="Connect a system user" onClose={onClose}>
      <form onSubmit={save}>
        <p>A system user of your business at Meta needs no login and no App Review. Make a token for it in the Business settings, with ads_read and ads_management.</p>
        <label>Token<input type="password" value={token} required autofocus autocomplete="off" onInput={(event) => (setToken(event.currentTarget.value), setRefusal(undefined))} /></label>
        {refusal && <p class="bad-text" role="alert">{refusal}</p>}
        <p class="actions">
          <button type="submit" class="button primary" disabled={!token}>Connect</button>
          <button type="button" class="button" onClick={onClose}>Cancel</button>
        </p>
      </form>
    </Dialog>
  );
}

/** Ad accounts that are read. */
const MAX_ROWS = 500;
/** Ad accounts that are shown at first, and more at a click: each shows how far its sync is. */
const PAGE_ROWS = 50;
/** Selections that are sent at a time. */
const AT_ONCE = 4;

function AdAccounts({ workspace }: { workspace: string }) {
  const q = params.value.get("q") ?? "";
  const [shown, setShown] = useState(PAGE_ROWS);
  const found = useResource(`accounts:${workspace}:${q}`, (signal) =>
    answer(api.GET("/v1/workspaces/{workspace}/ad-accounts", { params: { path: { workspace }, query: { limit: MAX_ROWS, ...(q && { q }) } }, signal })), { every: 30_000, shows: ["ad_account"] });
  const rows = [...(found.data?.data ?? [])].sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
  const synced = rows.filter(({ selected }) => selected).length;
  return (
    <section class="card table-card" aria-label="Ad accounts">
      <div class="toolbar">
        <h2>Ad accounts</h2>
        {rows.length > 1 && <span class="fine">{synced} of {rows.length}{found.data?.after && " and more"} synced</span>}
        <div class="toolbar-end">
          {can("editor") && <StartAll accounts={rows.filter(({ selected, source }) => !selected && !source)} />}
          <label class="find">
            <Icon name="search" />
            <input type="search" data-find placeholder="Find ad accounts" aria-label="Find ad accounts" value={q} onInput={(event) => setParams({ q: event.currentTarget.value || undefined })} />
          </label>
        </div>
      </div>
      {found.error && <Failure what="The ad accounts could not be read." error={found.error} retry={found.reload} />}
      {!found.data && !found.error && <Skeleton lines={4} height={56} />}
      {found.data && rows.length === 0 && <Empty title={q ? "No ad account matches" : "Meta shows no ad account"}>{q ? "Names and ids are searched." : "Have one assigned to your Facebook user, then connect again."}</Empty>}
      <ul class="accounts-list">
        {rows.slice(0, shown).map((account) => <AccountRow key={account.id} account={account} />)}
      </ul>
      {shown < rows.length && <p class="actions"><button type="button" class="button" onClick={() => setShown(shown + 150)}>Show more</button></p>}
      {shown >= rows.length && found.data?.after && <p class="actions fine">These are the first {MAX_ROWS}. Search to find others.</p>}
    </section>
  );
}

const putSelection = (id: string, selected: boolean) =>
  answer(api.PUT("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/selection", { params: accountPath(id), body: { selected } }));

function readAgain(): void {
  for (const prefix of ["accounts:", "ad-accounts:", "sync:"]) invalidate(prefix);
}

/** Starts to sync all of these ad accounts; those that are refused are named. */
function StartAll({ accounts }: { accounts: AdAccount[] }) {
  const [done, setDone] = useState<number>();
  if (accounts.length < 2 && done === undefined) return null;
  const start = async () => {
    const left = [...accounts];
    const refused: string[] = [];
    setDone(0);
    const work = async () => {
      for (let account = left.shift(); account; account = left.shift()) {
        await putSelection(account.id, true).catch((error: Error) => refused.push(`${nameOf(account!)}: ${error.message}`));
        setDone(accounts.length - left.length);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    setDone(undefined);
    readAgain();
    if (refused.length > 0) notify(`${plural(refused.length, "ad account")} could not be selected: ${refused.slice(0, 3).join("; ")}`, { tone: "bad" });
    else notify(`${plural(accounts.length, "ad account")} are synced now`);
  };
  return (
    <button type="button" class="button" disabled={done !== undefined} onClick={() => void start()}>
      {done === undefined ? `Start syncing all ${accounts.length}` : `Starting: ${done} …`}
    </button>
  );
}

function AccountRow({ account }: { account: AdAccount }) {
  const [busy, setBusy] = useState(false);
  const select = async () => {
    setBusy(true);
    const selected = !account.selected;
    try {
      await putSelection(account.id, selected);
      notify(selected ? `${nameOf(account)} is synced now` : `${nameOf(account)} is not synced any more; what was stored stays`);
    } catch (error) {
      notify(`${nameOf(account)} was not changed: ${(error as Error).message}`, { tone: "bad" });
    }
    setBusy(false);
    readAgain();
  };
  return (
    <li data-account={account.id}>
      <div class="account-name">
        {account.selected ? <a href={inWorkspace(`${account.id}/campaigns`)}><b>{nameOf(account)}</b></a> : <b>{nameOf(account)}</b>}
        <small>{account.id} · {account.currency} · {zoneName(account.timezone)}{account.business?.name && ` · ${account.business.name}`}</small>
        {!account.can_run && <small class="bad-text">{account.disable_reason_text ?? "Meta lets nothing run in it."}</small>}
      </div>
      {account.selected && !account.source && <SyncProgress account={account} />}
      {can("editor") && !account.source && (
        <button type="button" class={`button${account.selected ? "" : " primary"}`} disabled={busy} onClick={() => void select()}>
          {account.selected ? "Stop syncing" : "Start syncing"}
        </button>
      )}
    </li>
  );
}

function SyncProgress({ account }: { account: AdAccount }) {
  const found = useSync(account.id);
  const sync = found.data;
  if (found.error) return <small class="bad-text">{found.error.message}</small>;
  if (!sync) return <small>…</small>;
  const zone = account.timezone;
  const at = (time: string) => moment(time, zone, dayIn(systemNow(), zone));
  const open = openChunks(sync);
  const done = sync.chunks.done + sync.chunks.failed;
  const again = async () => {
    try {
      await answer(api.POST("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/sync", { params: accountPath(account.id) }));
      notify(`${nameOf(account)} is being synced`);
    } catch (error) {
      notify(`The sync could not begin: ${(error as Error).message}`, { tone: "bad" });
    }
    invalidate("sync:");
  };
  return (
    <div class="sync">
      {!sync.entities_synced_at && <><progress aria-label={`Reading the campaigns of ${nameOf(account)}`} /><small>Reading campaigns, ad sets and ads</small></>}
      {sync.entities_synced_at && open > 0 && (
        <>
          <progress value={done} max={done + open} aria-label={`Weeks measured of ${nameOf(account)}`} />
          <small>{done} of {plural(done + open, "week")} measured{sync.waits_for && ` · waits: ${sync.waits_for}`}{sync.waits_for && sync.next_sync_at && ` until ${at(sync.next_sync_at)}`}</small>
        </>
      )}
      {!isRunning(sync) && sync.entities_synced_at && (
        <small>
          <i class={`dot ${sync.problem ? "bad" : "good"}`} />Synced {at(sync.entities_synced_at)}{sync.next_sync_at && ` · next ${at(sync.next_sync_at)}`}
          {can("editor") && <> · <button type="button" class="link" onClick={() => void again()}>Sync now</button></>}
        </small>
      )}
      {sync.problem && <small class="bad-text">{sync.problem.reason}</small>}
      {sync.failures?.map(({ week, dataset, reason }) => <small class="bad-text" key={`${week}-${dataset}`}>{week}: {reason}</small>)}
      {(sync.totals.differing_days?.length ?? 0) > 0 && (
        <small class="bad-text">{plural(sync.totals.differing_days!.length, "day")} differ from Meta’s own total: {sync.totals.differing_days!.map(({ day }) => day).join(", ")}</small>
      )}
    </div>
  );
}
