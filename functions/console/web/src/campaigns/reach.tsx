// The people whom Meta has not counted yet: the last days are counted each day, other periods when somebody asks for them.

import { useState } from "preact/hooks";
import { api, answer, type Schemas } from "../api";
import { days as writeDays } from "../format";
import { notify } from "../parts/toast";
import { accountPath, can, type AdAccount } from "../store";
import { LEVELS, type Level } from "./levels";

export function ReachNote({ account, level, reach }: { account: AdAccount; level: Level; reach: Schemas["ReachScope"] | undefined }) {
  const [busy, setBusy] = useState(false);
  /** What was missing when it was asked for. */
  const [asked, setAsked] = useState<Schemas["ReachScope"]>();
  const missing = reach?.missing.filter(({ state }) => state !== "not_countable") ?? [];
  if (missing.length === 0 || account.source) return null;
  const { noun } = LEVELS[level];
  const open = asked === reach ? [] : missing.filter(({ state }) => state === "not_requested" || state === "failed");
  const reason = open.find(({ reason }) => reason)?.reason;
  const count = async () => {
    setBusy(true);
    try {
      for (const { since, until } of open) {
        await answer(api.POST("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/reach", { params: accountPath(account.id), body: { level, since, until } }));
      }
      setAsked(reach);
      notify("Meta counts the people now: the numbers appear by themselves");
    } catch (error) {
      notify(`Meta was not asked: ${(error as Error).message}`, { tone: "bad" });
    }
    setBusy(false);
  };
  return (
    <p class="fine note reach">
      {open.length === 0
        ? "The people are being counted now."
        : `People reached cannot be added up: Meta counts them for each period. ${reason ?? ""}`}
      {open.length > 0 && can("editor") && (
        <button type="button" class="button" disabled={busy} onClick={() => void count()}>
          Count the reach of {noun}s for {open.map(({ since, until }) => writeDays(since, until)).join(" and ")}
        </button>
      )}
    </p>
  );
}
