// When a campaign is started, paused and ended, as a local time of its ad account.

import { useState } from "preact/hooks";
import { api, answer, idempotencyKey, type Schemas } from "../api";
import { words, zoneName } from "../format";
import { notify } from "../parts/toast";
import { Failure } from "../parts/states";
import { useResource } from "../resource";
import { accountPath, can, type AdAccount } from "../store";

type Action = Schemas["ScheduledAction"];

const ACTIONS: Record<Action, string> = { activate: "Start", pause: "Pause", archive: "Archive, for good" };
const TONES: Record<Schemas["ScheduleState"], string> = { scheduled: "", running: "", cancelled: "", done: "good", failed: "bad" };
const REFRESH_MS = 20_000;

/** Writes a local time, which needs no zone to be read in. */
const local = (at: string) => new Date(`${at}Z`).toLocaleString(undefined, { timeZone: "UTC", dateStyle: "medium", timeStyle: "short" });

export function Schedules({ account, campaign }: { account: AdAccount; campaign: string }) {
  const [action, setAction] = useState<Action>("pause");
  const [at, setAt] = useState("");
  const [refusal, setRefusal] = useState<string>();
  const found = useResource(`schedules:${campaign}`, (signal) =>
    answer(api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/schedules", {
      params: { path: accountPath(account.id).path, query: { campaign } }, signal,
    })), { every: REFRESH_MS, shows: [`schedules:${account.id}`] });
  const url = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}/schedules/{action}" as const;
  const parameters = (action: Action) => ({ path: { ...accountPath(account.id).path, id: campaign, action }, header: { "Idempotency-Key": idempotencyKey() } });
  const save = async (event: Event) => {
    event.preventDefault();
    try {
      await answer(api.PUT(url, { params: parameters(action), body: { at } }));
      notify(`${ACTIONS[action]}: ${local(at)}`);
      setAt("");
      found.reload();
    } catch (error) {
      setRefusal((error as Error).message);
    }
  };
  const cancel = async (action: Action) => {
    try {
      await answer(api.DELETE(url, { params: parameters(action) }));
      notify(`${ACTIONS[action]}: cancelled`);
    } catch (error) {
      notify(`It was not cancelled: ${(error as Error).message}`, { tone: "bad" });
    }
    found.reload();
  };
  const all = found.data?.data.filter(({ state }) => state !== "cancelled") ?? [];
  return (
    <section class="card" aria-label="Schedule">
      <h2>Schedule</h2>
      {found.error && <Failure what="It could not be read." error={found.error} retry={found.reload} />}
      {all.length > 0 && (
        <ul class="schedules">
          {all.map((one) => (
            <li key={one.action} data-schedule={one.action}>
              <div>
                <b>{ACTIONS[one.action]}</b> <span class={`state ${TONES[one.state]}`}>{words(one.state)}</span>
                <br />{local(one.at)}, {zoneName(one.timezone)}
                {one.failure && <p class="bad-text">{one.failure}</p>}
              </div>
              {one.state === "scheduled" && can("editor") && <button type="button" class="button" onClick={() => void cancel(one.action)}>Cancel</button>}
            </li>
          ))}
        </ul>
      )}
      {all.length === 0 && found.data && <p class="fine">It has no times.</p>}
      {can("editor") && (
        <form class="rename" onSubmit={save}>
          <label>
            What
            <select value={action} onChange={(event) => setAction(event.currentTarget.value as Action)}>
              {Object.entries(ACTIONS).map(([name, label]) => <option key={name} value={name}>{label}</option>)}
            </select>
          </label>
          <label>When, in {zoneName(account.timezone)}<input type="datetime-local" value={at} required onInput={(event) => (setAt(event.currentTarget.value), setRefusal(undefined))} /></label>
          <button type="submit" class="button" disabled={!at}>Schedule</button>
          {refusal && <p class="bad-text" role="alert">{refusal}</p>}
        </form>
      )}
    </section>
  );
}
