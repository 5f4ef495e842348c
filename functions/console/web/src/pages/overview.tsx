// The overview: what was spent and what came of it, over one ad account or several in one currency.

import { BreakdownCards } from "../breakdowns";
import { useChanges } from "../changes";
import { days as writeDays, plural } from "../format";
import { measure, type Values } from "../measures";
import { isPending, TilesAndChart, useDays, useNumbers, type Scope } from "../numbers";
import { Bars, Funnel } from "../parts/bars";
import { Icon } from "../parts/icons";
import { Popover } from "../parts/popover";
import { CompareToggle, RangePicker } from "../parts/range";
import { Head } from "../parts/shell";
import { Banner, Empty, Failure, Skeleton } from "../parts/states";
import { currentPeriod } from "../period";
import { params, path, setParams } from "../route";
import { adAccounts, can, digitsOfCurrency, inWorkspace, nameOf, type AdAccount } from "../store";

const FUNNEL = ["impressions", "link_clicks", "landing_page_views", "add_to_cart", "initiate_checkout", "purchases"];

export default function Overview() {
  const { data: all } = adAccounts.value;
  if (!all) return <><Head title="Overview" /><Skeleton lines={5} height={72} /></>;
  if (all.length === 0) return <><Head title="Overview" /><FirstSteps /></>;
  const asked = params.value.get("accounts")?.split(",") ?? [];
  const named = all.filter(({ id }) => asked.includes(id));
  const currency = named[0]?.currency ?? params.value.get("currency") ?? all[0]!.currency;
  const inCurrency = all.filter((account) => account.currency === currency);
  const chosen = named.filter((account) => account.currency === currency);
  const accounts = chosen.length > 0 ? chosen : inCurrency.length > 0 ? inCurrency : all.slice(0, 1);
  return <Numbers accounts={accounts} all={all} />;
}

function FirstSteps() {
  return can("owner")
    ? (
      <Empty title="Connect your first ad account" action={<a class="button primary" href={inWorkspace("connections")}>Connect Meta</a>}>
        Choose ad accounts at Meta, and their campaigns and numbers of the last 13 weeks are here within minutes.
      </Empty>
    )
    : <Empty title="No ad account is connected yet">An owner of this workspace can connect one.</Empty>;
}

/** Ad accounts that a query takes. */
const MAX_ACCOUNTS = 100;

function Numbers({ accounts, all }: { accounts: AdAccount[]; all: AdAccount[] }) {
  const { currency, timezone } = accounts[0]!;
  const digits = digitsOfCurrency(currency);
  const period = currentPeriod(timezone);
  const ids = accounts.slice(0, MAX_ACCOUNTS).map(({ id }) => id);
  const scope: Scope = { workspace: path.value[1]!, ids, level: "account", filters: [], period };
  const daily = useDays(scope);
  const changes = useChanges(accounts, period);
  const whole = useNumbers(scope, ["spend", ...FUNNEL], [], { compared: false });
  const pending = daily.data && isPending(daily.data);
  return (
    <>
      <Head title="Overview">
        <AccountFilter all={all} chosen={accounts} />
        <RangePicker period={period} timezone={timezone} />
        <CompareToggle />
        <button type="button" class="icon-button" aria-label="Print a report" title="Print a report" onClick={() => print()}><Icon name="print" /></button>
      </Head>
      <p class="print-only">{accounts.map(nameOf).join(", ")} · {writeDays(period.since, period.until)} · {currency} · days in {accounts.every((account) => account.timezone === timezone) ? timezone : "the time zone of each ad account"}</p>
      {accounts.length > MAX_ACCOUNTS && <Banner tone="note">These are the first {MAX_ACCOUNTS} of {plural(accounts.length, "ad account")}.</Banner>}
      {pending && <Banner tone="note">Some of these days are still being measured: their numbers grow while you look.</Banner>}
      <TilesAndChart name="overview" daily={daily} changes={changes} period={period} digits={digits} timezone={timezone} />
      <div class="cards">
        <section class="card" aria-label="Funnel">
          <h2>Funnel</h2>
          {whole.error && <Failure what="It could not be read." error={whole.error} retry={whole.reload} />}
          {whole.data ? <Funnel steps={FUNNEL.map((name) => ({ label: measure(name).label, value: numberOf(whole.data!.totals.measures, name) }))} /> : <Skeleton lines={6} />}
        </section>
        {accounts.length > 1 && whole.data && (
          <section class="card" aria-label="Ad accounts">
            <h2>Ad accounts</h2>
            <Bars name="accounts" of="spend" digits={digits} bars={whole.data.data.map(({ ad_account, name, measures }) => ({ key: ad_account, label: name ?? ad_account, value: measures.spend }))} />
          </section>
        )}
        <BreakdownCards scope={scope} digits={digits} />
      </div>
    </>
  );
}

const numberOf = (values: Values, name: string) => (values[name] === undefined ? undefined : Number(values[name]));

function AccountFilter({ all, chosen }: { all: AdAccount[]; chosen: AdAccount[] }) {
  if (all.length < 2) return null;
  const { currency } = chosen[0]!;
  const usual = all[0]!.currency;
  const currencies = [...new Set(all.map((account) => account.currency))].sort();
  const inCurrency = all.filter((account) => account.currency === currency);
  const ofCurrency = (one: string) => (one === usual ? undefined : one);
  const toggle = (id: string) => {
    const ids = new Set(chosen.map((account) => account.id));
    if (!ids.delete(id)) ids.add(id);
    const isAll = ids.size === 0 || ids.size === inCurrency.length;
    setParams({ accounts: isAll ? undefined : [...ids].join(","), currency: isAll ? ofCurrency(currency) : undefined });
  };
  const label = chosen.length === 1 ? nameOf(chosen[0]!) : plural(chosen.length, "ad account");
  return (
    <Popover name="Ad accounts" label={<><span class="cut">{label}</span> <small>{currency}</small><Icon name="down" /></>}>
      {() => (
        <>
          {currencies.length > 1 && (
            <div class="segments" role="group" aria-label="Currency">
              {currencies.map((one) => (
                <button key={one} type="button" aria-pressed={one === currency} onClick={() => setParams({ currency: ofCurrency(one), accounts: undefined })}>{one}</button>
              ))}
            </div>
          )}
          <ul class="menu">
            {inCurrency.map((account) => (
              <li key={account.id}>
                <label class="check"><input type="checkbox" checked={chosen.includes(account)} onChange={() => toggle(account.id)} /> {nameOf(account)}</label>
                {inCurrency.length > 1 && <button type="button" class="link" aria-label={`Only ${nameOf(account)}`} onClick={() => setParams({ accounts: account.id, currency: undefined })}>Only</button>}
              </li>
            ))}
          </ul>
        </>
      )}
    </Popover>
  );
}
