// The audit log: what was changed, by whom, from what to what.

import { api, answer } from "../api";
import { actor, actorId, Change, outcomes, text, type Entry } from "../audit";
import { moment, words } from "../format";
import { CsvButton } from "../parts/csv-button";
import { saveList } from "../parts/download";
import { Pager } from "../parts/pager";
import { Head } from "../parts/shell";
import { Empty, Failure, Skeleton } from "../parts/states";
import { useResource } from "../resource";
import { params, path, setParams } from "../route";
import { can } from "../store";

const PAGE_ROWS = 100;
/** Rows of a page for a file. */
const FILE_ROWS = 500;

export default function Audit() {
  const workspace = path.value[1]!;
  const day = params.value.get("day") ?? "";
  const after = params.value.get("after") ?? "";
  const page = (limit: number, after: string | undefined, signal?: AbortSignal) =>
    answer(api.GET("/v1/workspaces/{workspace}/audit", {
      params: { path: { workspace }, query: { limit, ...(day && { day }), ...(after && { after }) } }, ...(signal && { signal }),
    }));
  const found = useResource(can("owner") ? `audit:${workspace}:${day}:${after}` : undefined, (signal) => page(PAGE_ROWS, after, signal), { every: after ? undefined : 15_000, shows: after ? [] : ["audit"] });
  if (!can("owner")) return <><Head title="Audit log" /><Empty title="The audit log is for owners">An owner of this workspace can give you that role.</Empty></>;
  const rows = outcomes(found.data?.data ?? []);
  return (
    <>
      <Head title="Audit log">
        <label class="field">Day (UTC)<input type="date" value={day} onInput={(event) => setParams({ day: event.currentTarget.value || undefined, after: undefined })} /></label>
        <CsvButton onClick={() => void saveList(`audit log ${day}`, HEAD, (after) => page(FILE_ROWS, after), (all) => outcomes(all).map(cells))} />
      </Head>
      {found.error && <Failure what="The log could not be read." error={found.error} retry={found.reload} />}
      <section class="card table-card" aria-label="Entries">
        {!found.data && !found.error && <Skeleton lines={8} height={32} />}
        {found.data && rows.length === 0 && <Empty title="Nothing was changed">{day ? "Choose another day, or none." : ""}</Empty>}
        {rows.length > 0 && (
          <div class="table-scroll" tabIndex={0} role="region" aria-label="Entries of the audit log">
            <table class="plain">
              <thead><tr><th scope="col">When (UTC)</th><th scope="col">Action</th><th scope="col">By</th><th scope="col">Object</th><th scope="col">Change</th><th scope="col">Outcome</th></tr></thead>
              <tbody>
                {rows.map((entry) => (
                  <tr key={entry.id}>
                    <th scope="row"><time dateTime={entry.at}>{moment(entry.at, "UTC")}</time></th>
                    <td>{words(entry.action)}</td>
                    <td>{actor(entry.actor)}</td>
                    <td><code>{entry.target}</code></td>
                    <td class="wrap"><Change entry={entry} /></td>
                    <td class={`wrap${entry.phase === "failed" ? " bad-text" : ""}`}>{entry.phase}{entry.reason && <small> {entry.reason}</small>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        <Pager next={found.data?.after} />
      </section>
    </>
  );
}

const HEAD = ["id", "at", "action", "phase", "by", "target", "before", "after", "reason"];

/** A file says who it was, and not who reads it. */
const cells = (entry: Entry) => [
  entry.id, entry.at, entry.action, entry.phase, actorId(entry.actor), entry.target, text(entry.before), text(entry.after), entry.reason,
];
