// Rules: what they do, and what they did and why.

import { useState } from "preact/hooks";
import { api, answer } from "../api";
import { day as writeDay, decimal, moment, words } from "../format";
import { Dialog } from "../parts/dialog";
import { CsvButton } from "../parts/csv-button";
import { saveList } from "../parts/download";
import { Icon } from "../parts/icons";
import { Pager } from "../parts/pager";
import { Head } from "../parts/shell";
import { Empty, Failure, Skeleton } from "../parts/states";
import { notify } from "../parts/toast";
import { invalidate, useResource } from "../resource";
import { navigate, params, path, setParams } from "../route";
import { RuleForm } from "../rules/form";
import { because, sentence, type Decision, type Rule } from "../rules/sentence";
import { adAccounts, can, inWorkspace, nameOf } from "../store";

export default function Rules() {
  const workspace = path.value[1]!;
  const id = path.value[3];
  const found = useResource(`rules:${workspace}`, (signal) => answer(api.GET("/v1/workspaces/{workspace}/rules", { params: { path: { workspace } }, signal })), { every: 30_000, shows: ["rules"] });
  const rules = found.data?.data;
  const rule = rules?.find((one) => one.id === id);
  const [editing, setEditing] = useState(false);
  return (
    <>
      <Head title={id ? (rule?.name ?? "…") : "Rules"}>
        {can("editor") && !id && <button type="button" class="button primary" onClick={() => setEditing(true)}><Icon name="plus" />New rule</button>}
      </Head>
      {found.error && <Failure what="The rules could not be read." error={found.error} retry={found.reload} />}
      {!rules && !found.error && <Skeleton lines={4} height={64} />}
      {rules && id && !rule && <Empty title="There is no such rule" action={<a class="button" href={inWorkspace("rules")}>All rules</a>}>It may have been deleted. What it changed stays in the audit log.</Empty>}
      {rule && <OneRule key={rule.id} rule={rule} workspace={workspace} />}
      {rules && !id && rules.length === 0 && (
        <Empty title="No rules yet" action={can("editor") && <button type="button" class="button primary" onClick={() => setEditing(true)}>New rule</button>}>
          A rule looks at complete data once a day, and pauses, sets a budget, or records what it found. It says why.
        </Empty>
      )}
      {rules && !id && rules.length > 0 && (
        <ul class="card rules">
          {rules.map((one) => (
            <li key={one.id}>
              <Switch rule={one} workspace={workspace} />
              <div><a href={inWorkspace(`rules/${one.id}`)}><b>{one.name}</b></a><p>{sentence(one)}{one.ad_account && ` · ${accountName(one.ad_account)}`}</p></div>
            </li>
          ))}
        </ul>
      )}
      {editing && <RuleForm workspace={workspace} onClose={() => setEditing(false)} />}
    </>
  );
}

const accountName = (id: string) => {
  const account = adAccounts.value.data?.find((one) => one.id === id);
  return account ? nameOf(account) : id;
};

function Switch({ rule, workspace }: { rule: Rule; workspace: string }) {
  const [busy, setBusy] = useState(false);
  const on = rule.state === "enabled";
  const set = async (state: Rule["state"]) => {
    setBusy(true);
    const at = { workspace, rule: rule.id };
    try {
      // Everything else of the rule stays as it is now, and not as it was when the page was read.
      const read = await api.GET("/v1/workspaces/{workspace}/rules/{rule}", { params: { path: at } });
      const { id: _, ...now } = await answer(Promise.resolve(read));
      const version = read.response.headers.get("etag");
      const header = version ? { "If-Match": version } : {};
      await answer(api.PUT("/v1/workspaces/{workspace}/rules/{rule}", { params: { path: at, header }, body: { ...now, state } as never }));
      notify(`“${rule.name}” is ${state === "enabled" ? "on" : "off"}`, { undo: () => void set(now.state) });
    } catch (error) {
      notify(`“${rule.name}” was not changed: ${(error as Error).message}`, { tone: "bad" });
    }
    setBusy(false);
    invalidate("rules:");
  };
  if (!can("editor")) return <span class={`state ${on ? "good" : ""}`}>{on ? "On" : "Off"}</span>;
  return (
    <button type="button" role="switch" class="switch" aria-checked={on} disabled={busy} aria-label={`${rule.name} is on`} onClick={() => void set(on ? "disabled" : "enabled")}><i /></button>
  );
}

const PAGE_ROWS = 100;
/** Rows of a page for a file. */
const FILE_ROWS = 500;

function OneRule({ rule, workspace }: { rule: Rule; workspace: string }) {
  const [editing, setEditing] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const after = params.value.get("after") ?? "";
  const outcome = params.value.get("outcome") ?? "";
  const at = { workspace, rule: rule.id };
  const page = (limit: number, after: string | undefined, signal?: AbortSignal) =>
    answer(api.GET("/v1/workspaces/{workspace}/rules/{rule}/decisions", { params: { path: at, query: { limit, ...(after && { after }) } }, ...(signal && { signal }) }));
  const found = useResource(`decisions:${rule.id}:${after}`, (signal) => page(PAGE_ROWS, after, signal), { every: 10_000, shows: [`decisions:${rule.id}`] });
  const isShown = (decision: Decision) => !outcome || decision.outcome === outcome;
  const rows = (found.data?.data ?? []).filter(isShown);
  const outcomes = [...new Set((found.data?.data ?? []).map((decision) => decision.outcome))];
  const remove = async () => {
    setDeleting(false);
    try {
      await answer(api.DELETE("/v1/workspaces/{workspace}/rules/{rule}", { params: { path: at } }));
      notify(`“${rule.name}” is deleted. What it changed stays in the audit log.`);
      invalidate("rules:");
      navigate(inWorkspace("rules"));
    } catch (error) {
      notify(`“${rule.name}” was not deleted: ${(error as Error).message}`, { tone: "bad" });
    }
  };
  return (
    <>
      <section class="card facts" aria-label="Rule">
        <p class="sentence">{sentence(rule)}{rule.ad_account && ` in ${accountName(rule.ad_account)}`}.</p>
        <p class="fine">Minimum data: {rule.guard.min_spend} spend, {decimal(rule.guard.min_impressions, 0)} impressions. At most once a day on each, once the data is complete.</p>
        <p class="actions">
          <Switch rule={rule} workspace={workspace} />
          {can("editor") && <button type="button" class="button" onClick={() => setEditing(true)}><Icon name="edit" />Edit</button>}
          {can("editor") && <button type="button" class="button" onClick={() => setDeleting(true)}>Delete …</button>}
        </p>
      </section>
      <section class="card table-card" aria-label="Decisions">
        <div class="toolbar">
          <h2>Decisions</h2>
          <div class="chips" role="group" aria-label="Outcome">
            <button type="button" aria-pressed={!outcome} onClick={() => setParams({ outcome: undefined })}>All</button>
            {outcomes.map((one) => <button key={one} type="button" aria-pressed={outcome === one} onClick={() => setParams({ outcome: outcome === one ? undefined : one })}>{words(one)}</button>)}
          </div>
          <div class="toolbar-end">
            <CsvButton onClick={() => void saveList(`decisions of ${rule.name}`, HEAD, (after) => page(FILE_ROWS, after), (all) => all.filter(isShown).map(cells))} />
          </div>
        </div>
        {found.error && <Failure what="The decisions could not be read." error={found.error} retry={found.reload} />}
        {!found.data && !found.error && <Skeleton lines={5} height={40} />}
        {found.data && rows.length === 0 && <Empty title={outcome ? "No such decision on this page" : "No decisions yet"}>{outcome ? "Show all outcomes, or older decisions, to see the others." : "It looks after each sync, and decides where its condition holds."}</Empty>}
        {rows.length > 0 && (
          <div class="table-scroll" tabIndex={0} role="region" aria-label="What it decided">
            <table class="plain">
              <thead><tr><th scope="col">Object</th><th scope="col">Outcome</th><th scope="col">Why</th><th scope="col">Day</th></tr></thead>
              <tbody>
                {rows.map((decision) => (
                  <tr key={`${decision.day}-${decision.entity}`} data-decision={decision.entity}>
                    <th scope="row"><a href={inWorkspace(`${decision.ad_account}/campaigns/${decision.entity}?level=${decision.level}`)}>{decision.entity_name ?? decision.entity}</a></th>
                    <td>{outcomeText(decision)}</td>
                    <td class="wrap">{because(decision)}{decision.reason && <small> {decision.reason}</small>}</td>
                    <td><time dateTime={decision.at} title={moment(decision.at, "UTC")}>{writeDay(decision.day)}</time></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        <Pager next={found.data?.after} />
      </section>
      {editing && <RuleForm workspace={workspace} rule={rule} onClose={() => setEditing(false)} />}
      {deleting && (
        <Dialog title={`Delete “${rule.name}”?`} onClose={() => setDeleting(false)}>
          <p>It stops at once. What it changed stays changed.</p>
          <p class="actions">
            <button type="button" class="button danger" onClick={() => void remove()}>Delete</button>
            <button type="button" class="button" autofocus onClick={() => setDeleting(false)}>Cancel</button>
          </p>
        </Dialog>
      )}
    </>
  );
}

/** Writes what came of a decision. */
function outcomeText({ outcome, action }: Decision): string {
  if (outcome !== "done") return words(outcome);
  return action.type === "notify" ? "Recorded" : action.type === "pause" ? "Paused" : "Budget set";
}

const HEAD = ["day", "entity", "name", "outcome", "value", "spend", "impressions", "reason"];

const cells = (decision: Decision) => [
  decision.day, decision.entity, decision.entity_name, decision.outcome, decision.value, decision.spend, decision.impressions, decision.reason,
];
