// What people, rules and schedules changed in ad accounts: marks on their charts, and a list.

import { api, answer, type Schemas } from "./api";
import { actor } from "./audit";
import { dayIn, decimal, majorText, moment, plural, words } from "./format";
import { useResource, type Resource } from "./resource";
import { accountPath, digitsOf, type AdAccount } from "./store";

/** A change, as a person reads it. */
export interface Change {
  id: string;
  /** The day in its ad account's time zone. */
  day: string;
  /** Its time there. */
  time: string;
  at: string;
  who: string;
  text: string;
  /** Whether it happened, as far as anybody knows. */
  happened: boolean;
  /** Why it did not happen, or that nobody knows. */
  failure: string | undefined;
}

/** Ad accounts whose changes are read together. */
const MAX_ACCOUNTS = 10;
/** Changes of an ad account that are read at once, and how many times. */
const MAX_CHANGES = 500;
const MAX_PAGES = 4;

/** Reads the changes of ad accounts in a period, newest first; with an entity, its own and those of what is below it. */
export function useChanges(accounts: AdAccount[], { since, until }: { since: string; until: string }, entity?: string): Resource<Change[]> {
  const some = accounts.slice(0, MAX_ACCOUNTS);
  const key = some.length > 0 ? `changes:${some.map(({ id }) => id)}:${since}:${until}:${entity}` : undefined;
  return useResource(key, async (signal) => {
    const query = { since, until, limit: MAX_CHANGES, ...(entity && { entity }) };
    const found = await Promise.all(some.map(async (account) => {
      const all: Change[] = [];
      let after: string | undefined;
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const params = { ...accountPath(account.id), query: { ...query, ...(after && { after }) } };
        const found = await answer(api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/changes", { params, signal }));
        all.push(...found.data.map((change) => say(change, account)));
        after = found.after;
        if (!after) break;
      }
      return all;
    }));
    // Those of one moment stay in the API's order.
    return found.flat().sort((a, b) => (a.at === b.at ? 0 : a.at < b.at ? 1 : -1));
  }, { every: 60_000, shows: some.map(({ id }) => `changes:${id}`) });
}

function say(change: Schemas["AccountChange"], account: AdAccount): Change {
  const { id, at, phase, reason } = change;
  return {
    id, at, who: change.by ? `${change.by} (at Meta)` : actor(change.actor), text: describe(change, digitsOf(account)),
    day: dayIn(new Date(at), account.timezone), time: moment(at, account.timezone),
    happened: phase !== "failed",
    failure: phase === "done" ? undefined : (reason ?? (phase === "unknown" ? "nobody knows whether it happened" : "it failed")),
  };
}

const VERBS: Record<string, string> = {
  created: "created", launched: "launched", paused: "paused", activated: "activated", deleted: "deleted", scheduled: "scheduled", schedule_cancelled: "took back the schedule of",
};

/** Writes a change after its actor's name: "paused the campaign “Summer”". */
function describe({ action, level, name, entity, summary, before, after }: Schemas["AccountChange"], digits: number): string {
  const verb = action.split(".").at(-1)!;
  const what = `the ${words(level).toLowerCase()} ${name ? `“${name}”` : (entity ?? "")}`;
  if (VERBS[verb]) return `${VERBS[verb]} ${what}`;
  const [old, now] = [fields(before), fields(after)];
  const parts = Object.keys(now).map((field) => {
    if (field === "status") return `${now[field] === "ACTIVE" ? "activated" : words(String(now[field])).toLowerCase()} ${what}`;
    if (field === "name") return `renamed ${what}, which was “${String(old[field])}”`;
    const write = (value: unknown) => (value === undefined || value === null ? "none" : field.endsWith("budget") ? amount(value, digits) : String(value));
    return `set the ${words(field).toLowerCase()} of ${what} to ${write(now[field])}, from ${write(old[field])}`;
  });
  return parts.join("; ") || `changed ${what}${summary ? `: ${summary.toLowerCase()}` : ""}`;
}

const fields = (value: unknown) => (typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {});
const amount = (minor: unknown, digits: number) => (Number.isSafeInteger(Number(minor)) ? decimal(majorText(Number(minor), digits), digits) : String(minor));

/** Lists changes. */
export function Changes({ changes }: { changes: Change[] }) {
  return (
    <ol class="history">
      {changes.map(({ id, at, time, who, text, happened, failure }) => (
        <li key={id} data-change={id}>
          <span class="fine"><time dateTime={at}>{time}</time></span>
          <span class="change">{!happened && <b class="bad-text">Failed: </b>}{who} {text}</span>
          {failure && <span class="bad-text">{failure}</span>}
        </li>
      ))}
    </ol>
  );
}

/** The list below a chart, of the changes that are marked on it. */
export function ChangesBelow({ marks, error }: { marks: Change[]; error: Error | undefined }) {
  if (error && marks.length === 0) return <p class="fine">What was changed could not be read: {error.message}</p>;
  if (marks.length === 0) return null;
  return <details class="changes"><summary>{plural(marks.length, "change")}</summary><Changes changes={marks} /></details>;
}
