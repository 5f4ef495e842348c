// Spend by platform, people, country and device: what Meta reports apart from the rest, once it has been asked for.

import { useState } from "preact/hooks";
import { api, answer, type Schemas } from "./api";
import { days as writeDays, words } from "./format";
import { addDecimals, isPending, useNumbers, type Scope } from "./numbers";
import { Bars, type Bar } from "./parts/bars";
import { Failure, Skeleton } from "./parts/states";
import { notify } from "./parts/toast";
import { invalidate } from "./resource";
import { can } from "./store";

interface Breakdown {
  name: string;
  label: string;
  dimensions: NonNullable<Schemas["Query"]["dimensions"]>;
  dataset: Schemas["Dataset"];
}

const BREAKDOWNS: Breakdown[] = [
  { name: "platform", label: "Platform", dimensions: ["publisher_platform"], dataset: "ad_day_placement" },
  { name: "age-gender", label: "Age and gender", dimensions: ["age", "gender"], dataset: "ad_day_age_gender" },
  { name: "country", label: "Country", dimensions: ["country"], dataset: "ad_day_country" },
  { name: "device", label: "Device", dimensions: ["device_platform"], dataset: "ad_day_device" },
];

/** Spend by each breakdown. One that was not asked of Meta yet can be, with all others. */
export function BreakdownCards({ scope, digits }: { scope: Scope; digits: number }) {
  return <>{BREAKDOWNS.map((breakdown) => <Card key={breakdown.name} breakdown={breakdown} scope={scope} digits={digits} />)}</>;
}

function Card({ breakdown: { name, label, dimensions }, scope, digits }: { breakdown: Breakdown; scope: Scope; digits: number }) {
  const found = useNumbers(scope, ["spend"], dimensions, { compared: false, order: [{ by: "spend", direction: "desc" }] });
  const { since, until } = scope.period;
  const [busy, setBusy] = useState(false);
  const incomplete = found.data?.ad_accounts.flatMap(({ incomplete_days }) => incomplete_days) ?? [];
  const rows = found.data?.data ?? [];
  const pending = found.data && isPending(found.data);
  const isMissing = incomplete.some(({ state }) => state === "unavailable");
  const request = async () => {
    await Promise.all(scope.ids.map((id) => answer(api.POST("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/sync", {
      params: { path: { workspace: scope.workspace, ad_account: id } }, body: { since, until, datasets: BREAKDOWNS.map(({ dataset }) => dataset) },
    }))));
    invalidate("query:");
  };
  const load = () => {
    setBusy(true);
    request().catch((error: Error) => notify(`Meta was not asked: ${error.message}`, { tone: "bad" })).finally(() => setBusy(false));
  };
  return (
    <section class="card" aria-label={label} aria-busy={found.loading} data-breakdown={name}>
      <h2>Spend by {label.toLowerCase()}</h2>
      {found.error && <Failure what="It could not be read." error={found.error} retry={found.reload} />}
      {!found.data && !found.error && <Skeleton lines={4} />}
      {rows.length > 0 && <Bars name={name} of="spend" digits={digits} bars={barsOf(rows, dimensions)} />}
      {pending && <p class="fine">These days are being measured now.</p>}
      {found.data && isMissing && !pending && (
        <div class="unmeasured">
          <p class="fine">{rows.length > 0 ? "This is part of these days. Meta reports the others on request." : "Meta reports this on request."}</p>
          {can("editor") && <button type="button" class="button" disabled={busy} onClick={load} title="By platform, age and gender, country and device">Load breakdowns for {writeDays(since, until)}</button>}
        </div>
      )}
      {found.data && rows.length === 0 && !pending && !isMissing && <p class="fine">Nothing was delivered in these days.</p>}
    </section>
  );
}

const MAX_BARS = 8;

/** Returns the largest values, those of several accounts together, and the rest as one. */
function barsOf(rows: Answered[], dimensions: string[]): Bar[] {
  const sums = new Map<string, Bar & { value: string }>();
  for (const row of rows) {
    const values = dimensions.map((name) => row.dimensions?.[name as keyof typeof row.dimensions] ?? "unknown");
    const key = values.join(" ");
    const value = String(row.measures.spend ?? "0");
    const before = sums.get(key);
    sums.set(key, { key, label: values.map(valueName).join(", "), value: before ? addDecimals(before.value, value) : value });
  }
  const sorted = [...sums.values()].sort((a, b) => Number(b.value) - Number(a.value));
  if (sorted.length <= MAX_BARS) return sorted;
  const rest = sorted.slice(MAX_BARS - 1);
  const others = { key: "others", label: `${rest.length} others`, value: rest.map(({ value }) => value).reduce(addDecimals) };
  return [...sorted.slice(0, MAX_BARS - 1), others];
}

type Answered = Schemas["RowView"];

const COUNTRY = /^[A-Z]{2}$/;
const countries = new Intl.DisplayNames(navigator.language, { type: "region" });

const valueName = (value: string): string =>
  COUNTRY.test(value) ? (countries.of(value) ?? value) : words(value);
