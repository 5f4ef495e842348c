// Launches: what is being created, what was, and what needs somebody to look.

import { api, answer, type Schemas } from "../api";
import { person } from "../audit";
import { moment, words } from "../format";
import { Pager } from "../parts/pager";
import { Head } from "../parts/shell";
import { Empty, Failure, Skeleton } from "../parts/states";
import { useResource } from "../resource";
import { params, path } from "../route";
import { adAccounts, can, inWorkspace, nameOf } from "../store";

type Launch = Schemas["LaunchView"];

const PAGE_ROWS = 50;

const TONES: Record<Launch["state"], string> = { running: "busy", committed: "good", rolling_back: "busy", rolled_back: "bad", needs_review: "warning" };
const MEANINGS: Record<Launch["state"], string> = {
  running: "Meta is creating it.",
  committed: "It was created, paused.",
  rolling_back: "A step failed; what was created is being deleted.",
  rolled_back: "A step failed, and nothing is left at Meta.",
  needs_review: "Somebody must look at Meta what exists.",
};

export default function Launches() {
  const workspace = path.value[1]!;
  const after = params.value.get("after") ?? "";
  const found = useResource(`launches:${workspace}:${after}`, (signal) =>
    answer(api.GET("/v1/workspaces/{workspace}/launches", {
      params: { path: { workspace }, query: { limit: PAGE_ROWS, ...(after && { after }) } }, signal,
    })), { every: 30_000, shows: ["launches"] });
  const rows = found.data?.data;
  return (
    <>
      <Head title="Launches">{can("editor") && <a class="button primary" href={inWorkspace("launch")}>New launch</a>}</Head>
      {found.error && <Failure what="The launches could not be read." error={found.error} retry={found.reload} />}
      <section class="card table-card" aria-label="Launches">
        {!rows && !found.error && <Skeleton lines={6} height={32} />}
        {rows?.length === 0 && <Empty title="Nothing was launched yet">A launch makes a campaign with its ad sets and ads of one document, all of them paused, or nothing.</Empty>}
        {rows && rows.length > 0 && (
          <div class="table-scroll" tabIndex={0} role="region" aria-label="Launches, newest first">
            <table class="plain">
              <thead><tr><th scope="col">Campaign</th><th scope="col">State</th><th scope="col">Ad account</th><th scope="col">Began</th><th scope="col">By</th></tr></thead>
              <tbody>{rows.map((launch) => <Row key={launch.launch_id} launch={launch} />)}</tbody>
            </table>
          </div>
        )}
        <Pager next={found.data?.after} />
      </section>
    </>
  );
}

function Row({ launch }: { launch: Launch }) {
  const { launch_id: id, state, ad_account, name, campaign_id: campaign, started_at: at, requested_by: by, failure } = launch;
  const account = adAccounts.value.data?.find((one) => one.id === ad_account);
  return (
    <tr data-launch={id}>
      <th scope="row" class="wrap">{campaign ? <a href={inWorkspace(`${ad_account}/campaigns/${campaign}`)}>{name || campaign}</a> : name || id}</th>
      <td class="wrap"><span class={`state ${TONES[state]}`}>{words(state)}</span> <small>{failure ?? MEANINGS[state]}</small></td>
      <td>{account ? nameOf(account) : ad_account}</td>
      <td><time dateTime={at}>{moment(at, account?.timezone ?? "UTC")}</time></td>
      <td>{by ? person(by) : "an operator"}</td>
    </tr>
  );
}
