// What the whole console knows: the person's workspaces, and the ad accounts of the one that is shown.

import { computed, effect, signal } from "@preact/signals";
import { api, answer, type Schemas } from "./api";
import { params, path } from "./route";
import type { Resource } from "./resource";

export type Workspace = Schemas["WorkspaceView"];
export type AdAccount = Schemas["AdAccount"];
export type Role = Schemas["Role"];

export const workspaces = signal<Workspace[] | undefined>(undefined);

/** The workspace of the address. */
export const workspace = computed(() => {
  const wanted = path.value[0] === "w" ? path.value[1] : undefined;
  return workspaces.value?.find(({ workspace }) => workspace === wanted);
});

const RANKS: Record<Role, number> = { viewer: 0, editor: 1, owner: 2 };

/** Returns whether the person's role allows what `needed` allows: what it does not allow is not offered. */
export const can = (needed: Role): boolean => RANKS[workspace.value?.role ?? "viewer"] >= RANKS[needed];

const UNREAD: Resource<AdAccount[]> = { data: undefined, error: undefined, loading: true, reload: () => {} };

/** The ad accounts that were read last, and of which workspace. */
export const loaded = signal({ of: "", accounts: UNREAD });

/** The ad accounts that are selected in the workspace. */
export const adAccounts = computed(() => (loaded.value.of === path.value[1] ? loaded.value.accounts : UNREAD));

/** The last ad account of which somebody saw a page: links without one lead to it. */
const lastAccount = signal<string | undefined>(undefined);

/** Returns whether a part of an address names an ad account. */
export const isAccountId = (part: string): boolean => part.startsWith("act_") || part.startsWith("import_");

/** The ad account of the address, else the one that links lead to. */
export const adAccount = computed(() => {
  const accounts = adAccounts.value.data;
  const asked = path.value[2];
  // One that is named and not here is not replaced by another: its link would show other numbers.
  if (asked !== undefined && isAccountId(asked)) return accounts?.find(({ id }) => id === asked);
  return accounts?.find(({ id }) => id === lastAccount.value) ?? accounts?.[0];
});

effect(() => {
  const asked = path.value[2];
  if (asked !== undefined && isAccountId(asked)) lastAccount.value = asked;
});

/** Digits after the point of amounts in an ad account's currency, by Meta's table. */
export const digitsOf = ({ minor_units }: { minor_units: number }): number => (minor_units === 1 ? 0 : 2);

/** Returns the digits of a currency, as an ad account in it says them. */
export const digitsOfCurrency = (currency: string): number => {
  const account = adAccounts.value.data?.find((account) => account.currency === currency);
  return account ? digitsOf(account) : 2;
};

export const nameOf = ({ name, id }: { name?: string; id: string }): string => name || id;

/** What stays the same from page to page: the period, and whether it is compared. */
const KEPT = ["range", "since", "until", "compare"];

/** Returns an address within the workspace, with the period of the present one. */
export function inWorkspace(rest: string): string {
  const [to, own] = rest.split("?");
  const query = new URLSearchParams(own);
  for (const name of KEPT) {
    const value = params.value.get(name);
    if (value !== null && !query.has(name)) query.set(name, value);
  }
  const text = query.toString().replaceAll("%2C", ",");
  return `/w/${path.value[1] ?? ""}/${to}${text && `?${text}`}`;
}

/** Returns the path parameters of an ad account in the workspace. */
export const accountPath = (id: string) => ({ path: { workspace: path.value[1]!, ad_account: id } });

const PAGE_ROWS = 500;

/** Reads every selected ad account of a workspace. */
export async function loadAdAccounts(of: string, abort: AbortSignal): Promise<AdAccount[]> {
  const all: AdAccount[] = [];
  let after: string | undefined;
  do {
    const query = { selected: true, limit: PAGE_ROWS, ...(after && { after }) };
    const page = await answer(api.GET("/v1/workspaces/{workspace}/ad-accounts", { params: { path: { workspace: of }, query }, signal: abort }));
    all.push(...page.data);
    after = page.after;
  } while (after);
  return all.sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
}
