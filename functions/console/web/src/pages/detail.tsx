// One campaign, ad set or ad: its numbers, what it is split into, its problems and its history.

import { useState } from "preact/hooks";
import { api, answer, idempotencyKey, Problem, type Schemas } from "../api";
import { BreakdownCards } from "../breakdowns";
import { Changes, useChanges } from "../changes";
import { decimal, majorText, moment, words } from "../format";
import { TilesAndChart, useDays, type Scope } from "../numbers";
import { Icon } from "../parts/icons";
import { Preview } from "../parts/preview";
import { CompareToggle, RangePicker } from "../parts/range";
import { Head } from "../parts/shell";
import { Empty, Failure, Skeleton } from "../parts/states";
import { addDays, currentPeriod, todayIn } from "../period";
import { useResource } from "../resource";
import { navigate, params, path } from "../route";
import { accountPath, adAccount, adAccounts, can, digitsOf, inWorkspace, nameOf, type AdAccount } from "../store";
import { BudgetCell, DeliveryCell } from "../campaigns/cells";
import { LEVELS, type Entity, type Level } from "../campaigns/levels";
import { Schedules } from "../campaigns/schedules";
import { Thumbnail } from "../campaigns/thumbnail";
import { confirmed, change } from "../campaigns/writes";

const REFRESH_MS = 20_000;

export default function DetailPage() {
  const account = adAccount.value;
  const id = path.value[4]!;
  if (!account) {
    return (
      <>
        <Head title="…" />
        {adAccounts.value.data
          ? <Empty title="This ad account is not synced here" action={<a class="button primary" href={inWorkspace("connections")}>Connections</a>} />
          : <Skeleton lines={8} height={46} />}
      </>
    );
  }
  return <Detail key={`${account.id}/${id}`} account={account} id={id} />;
}

function Detail({ account, id }: { account: AdAccount; id: string }) {
  const asked = params.value.get("level");
  const level: Level = asked === "adset" || asked === "ad" ? asked : "campaign";
  const { noun, path: segment, below } = LEVELS[level];
  const period = currentPeriod(account.timezone);
  const digits = digitsOf(account);
  const workspace = path.value[1]!;
  const url = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}" as const;
  const found = useResource(`entity:${level}:${id}:${period.since}:${period.until}`, (signal) =>
    answer(api.GET(url.replace("campaigns", segment) as typeof url, {
      params: { path: { ...accountPath(account.id).path, id }, query: { since: period.since, until: period.until } }, signal,
    })), { every: REFRESH_MS, shows: [`metrics:${account.id}`, `entities:${account.id}`, `schedules:${account.id}`] });
  const scope: Scope = { workspace, ids: [account.id], level, filters: [{ field: level, op: "in", value: [id] }], period };
  const daily = useDays(scope);
  const changes = useChanges([account], period, id);
  const [editing, setEditing] = useState<string>();
  const entity = found.data && ({ ...found.data, ...confirmed.value.get(id) } as Entity);
  const list = inWorkspace(`${account.id}/campaigns`);
  const amount = (money: Schemas["Money"]) => decimal(majorText(money.amount, digits), digits);
  if (found.error instanceof Problem && found.error.status === 404) {
    return <><Head title={words(noun)} account /><Empty title={`There is no such ${noun}`} action={<a class="button" href={list}>All campaigns</a>}>It may have been deleted.</Empty></>;
  }
  return (
    <>
      <Head title={entity ? nameOf(entity) : "…"} account>
        <RangePicker period={period} timezone={account.timezone} />
        <CompareToggle />
      </Head>
      <nav class="crumbs" aria-label="Where this is">
        <a href={list}>Campaigns</a>
        {entity?.campaign_id && level !== "campaign" && <><Icon name="right" /><a href={inWorkspace(`${account.id}/campaigns/${entity.campaign_id}`)}>Campaign</a></>}
        {entity?.adset_id && level === "ad" && <><Icon name="right" /><a href={inWorkspace(`${account.id}/campaigns/${entity.adset_id}?level=adset`)}>Ad set</a></>}
        <Icon name="right" /><span>{words(noun)}</span>
      </nav>
      {found.error && <Failure what={`The ${noun} could not be read.`} error={found.error} retry={found.reload} />}
      {!entity && !found.error && <Skeleton lines={2} height={56} />}
      {entity && (
        <section class="card facts" aria-label="State">
          <dl>
            {level === "ad" && !account.source && <div><dt>Picture</dt><dd><Thumbnail account={account.id} ad={id} /></dd></div>}
            <div><dt>Delivery</dt><dd><DeliveryCell row={{ entity, level, depth: 0 }} account={account} /></dd></div>
            {level !== "ad" && <div><dt>Daily budget ({account.currency})</dt><dd><BudgetCell row={{ entity, level, depth: 0 }} account={account} editing={editing === id} onEdit={(change) => setEditing(change)} /></dd></div>}
            {entity.spend_cap && <div><dt>Spend cap ({account.currency})</dt><dd>{amount(entity.spend_cap)}</dd></div>}
            {entity.bid_strategy && entity.bid_strategy !== "LOWEST_COST_WITHOUT_CAP" && <div><dt>Bids</dt><dd>{words(entity.bid_strategy)}</dd></div>}
            {entity.bid_amount && <div><dt>Bid ({account.currency})</dt><dd>{amount(entity.bid_amount)}</dd></div>}
            {entity.min_roas && <div><dt>Least ROAS</dt><dd>{entity.min_roas}</dd></div>}
            {entity.start && <div><dt>Starts</dt><dd>{moment(entity.start, account.timezone)}</dd></div>}
            {entity.end && <div><dt>Ends</dt><dd>{moment(entity.end, account.timezone)}</dd></div>}
            {entity.objective && <div><dt>Objective</dt><dd>{words(entity.objective)}</dd></div>}
            {entity.optimization_goal && <div><dt>Optimised for</dt><dd>{words(entity.optimization_goal)}</dd></div>}
            <div><dt>Id</dt><dd><code>{entity.id}</code></dd></div>
            {below && <div><dt>{LEVELS[below].label}</dt><dd><a href={inWorkspace(`${account.id}/campaigns?level=${below}&${level}=${id}`)}>View {LEVELS[below].label.toLowerCase()}</a></dd></div>}
          </dl>
          {can("editor") && !account.source && <Rename account={account} level={level} entity={entity} />}
          {can("editor") && !account.source && level === "campaign" && <Duplicate account={account} entity={entity} />}
          <Problems entity={entity} />
        </section>
      )}
      <TilesAndChart name="detail" daily={daily} changes={changes} period={period} digits={digits} timezone={account.timezone} />
      <div class="cards">
        <BreakdownCards scope={scope} digits={digits} />
        {level === "campaign" && !account.source && <Schedules account={account} campaign={id} />}
        {level === "ad" && !account.source && <Preview load={(format) => answer(api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/ads/{id}/preview", {
          params: { path: { ...accountPath(account.id).path, id }, query: { ad_format: format } },
        }))} />}
        <History account={account} id={id} />
      </div>
    </>
  );
}

function Rename({ account, level, entity }: { account: AdAccount; level: Level; entity: Entity }) {
  const [name, setName] = useState<string>();
  const [refusal, setRefusal] = useState<string>();
  if (name === undefined) return <button type="button" class="button" onClick={() => setName(entity.name ?? "")}><Icon name="edit" />Rename</button>;
  const save = async (event: Event) => {
    event.preventDefault();
    try {
      await change({ account, level, entity }, { name });
      setName(undefined);
    } catch (error) {
      setRefusal((error as Error).message);
    }
  };
  return (
    <form class="rename" onSubmit={save}>
      <label>Name<input value={name} required autofocus onInput={(event) => (setName(event.currentTarget.value), setRefusal(undefined))} /></label>
      <button type="submit" class="button primary" disabled={name === entity.name}>Rename</button>
      <button type="button" class="button" onClick={() => setName(undefined)}>Cancel</button>
      {refusal && <p class="bad-text" role="alert">{refusal}</p>}
    </form>
  );
}

/** Copies the campaign with its ad sets and ads, paused, as a launch. */
function Duplicate({ account, entity }: { account: AdAccount; entity: Entity }) {
  const [name, setName] = useState<string>();
  const [key, setKey] = useState(idempotencyKey);
  const [refusal, setRefusal] = useState<string>();
  if (name === undefined) return <button type="button" class="button" onClick={() => setName(`${entity.name ?? ""} (copy)`)}>Duplicate …</button>;
  const save = async (event: Event) => {
    event.preventDefault();
    try {
      const { launch_id: launch } = await answer(api.POST("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}/duplicate", {
        params: { path: { ...accountPath(account.id).path, id: entity.id }, header: { "Idempotency-Key": key } }, body: { name },
      }));
      navigate(inWorkspace(`launch?account=${account.id}&launch=${launch}`));
    } catch (error) {
      setRefusal((error as Error).message);
    }
  };
  return (
    <form class="rename" onSubmit={save}>
      <label>Name of the copy<input value={name} required autofocus onInput={(event) => (setName(event.currentTarget.value), setKey(idempotencyKey()), setRefusal(undefined))} /></label>
      <button type="submit" class="button primary">Duplicate</button>
      <button type="button" class="button" onClick={() => setName(undefined)}>Cancel</button>
      <p class="fine">With its ad sets and ads, all of them paused.</p>
      {refusal && <p class="bad-text" role="alert">{refusal}</p>}
    </form>
  );
}

function Problems({ entity: { issues = [], review_feedback: feedback = [] } }: { entity: Entity }) {
  if (issues.length + feedback.length === 0) return null;
  return (
    <div class="banner bad">
      <Icon name="warning" />
      <ul>
        {issues.map(({ summary, message }, index) => <li key={index}><b>{summary ?? "Meta reports a problem"}</b> {message}</li>)}
        {feedback.map(({ policy, explanation, placement }) => <li key={policy}><b>Review: {policy}</b> {explanation}{placement && ` (${placement})`}</li>)}
      </ul>
    </div>
  );
}

/** Days back to which a history goes. */
const HISTORY_DAYS = 395;

function History({ account, id }: { account: AdAccount; id: string }) {
  const today = todayIn(account.timezone);
  const found = useChanges([account], { since: addDays(today, -HISTORY_DAYS), until: today }, id);
  return (
    <section class="card" aria-label="History">
      <h2>History</h2>
      {found.error && <Failure what="It could not be read." error={found.error} retry={found.reload} />}
      {found.data?.length === 0 && <p class="fine">The log has no change of it in the last 13 months.</p>}
      {found.data && <Changes changes={found.data} />}
    </section>
  );
}
