// A front end's client: types by openapi-typescript with its defaults, requests by openapi-fetch. What it does not use
// of a type is checked by the compiler alone.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema";
import { check, system } from "./system";

type Campaign = components["schemas"]["EntityView"];

const client = createClient<paths>({
  baseUrl: system.url,
  headers: { Authorization: `Bearer ${system.token}` },
});
const account = { workspace: system.workspace, ad_account: system.ad_account };

async function allCampaigns(): Promise<Campaign[]> {
  const found: Campaign[] = [];
  let after: string | undefined;
  do {
    const { data, error } = await client.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns", {
      params: { path: account, query: { limit: 5, after, effective_status: ["ACTIVE", "PAUSED"] } },
    });
    if (error) throw new Error(error.detail);
    found.push(...data.data);
    after = data.after;
  } while (after !== undefined);
  return found;
}

async function main() {
  const campaigns = await allCampaigns();
  check(campaigns.length > 5, "more than a page of campaigns");
  check(campaigns.every(({ measures }) => Number(measures.spend) >= 0), "each with its spend");

  const id = system.campaigns[0];
  const path = { ...account, id };
  const one = await client.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}", { params: { path } });
  check(one.data?.id === id, "one campaign");
  const tag = one.response.headers.get("etag") ?? "";
  for (const status of ["PAUSED", one.data?.status === "ACTIVE" ? "ACTIVE" : "PAUSED"] as const) {
    const { data } = await client.PATCH("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}", {
      params: { path },
      body: { status },
    });
    check(data?.status === status && data.measures.spend === one.data?.measures.spend, `patched to ${status}`);
  }
  const renamed = await client.PATCH("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}", {
    params: { path, header: { "If-Match": '"another"' } },
    body: { name: "Never" },
  });
  check(renamed.error?.type === "urn:adflight:stale-version" && renamed.error.current === tag.split("-")[0] + '"', "stale");

  const rule = await client.POST("/v1/workspaces/{workspace}/rules", {
    params: { path: { workspace: system.workspace } },
    body: {
      name: "Stop what does not sell",
      level: "adset",
      when: { measure: "purchases", window: "last_7_days", operator: "below", value: "1" },
      action: { type: "pause" },
    },
  });
  check(rule.data?.state === "enabled", "a rule with its defaults");

  const launch = await client.POST("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns", {
    params: { path: account, header: { "Idempotency-Key": "openapi-fetch" } },
    body: system.launch_document,
  });
  check(launch.data !== undefined && "campaign_id" in launch.data, "launched");

  const rows = await client.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/insights", {
    params: {
      path: account,
      query: { level: "campaign", since: "2026-11-01", until: "2026-11-02", ids: system.campaigns.slice(0, 2) },
    },
  });
  check(rows.data?.data.length === 2, "two ids, each in its own parameter");

  const { error } = await client.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/insights", {
    params: { path: account, query: { level: "campaign", since: "2026-13-01", until: "yesterday" } },
  });
  check(error?.type === "urn:adflight:invalid-input", "a problem");
  check(error.errors?.map(({ field }) => field).join() === "since,until", "every field of it");
}

void main();
