// A new launch: a form and its document side by side, what is wrong with it while it is written, and how it goes.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, answer, idempotencyKey, Problem, type Schemas } from "../api";
import { majorText, words } from "../format";
import { Dialog } from "../parts/dialog";
import { MediaField } from "../parts/media";
import { Preview } from "../parts/preview";
import { Head } from "../parts/shell";
import { Failure } from "../parts/states";
import { notify } from "../parts/toast";
import { useResource } from "../resource";
import { navigate, params, path, setParams } from "../route";
import { accountPath, adAccounts, can, digitsOf, inWorkspace, nameOf, type AdAccount } from "../store";
import { minorUnits, typedText } from "../typed";

type Document = Schemas["LaunchSpec"];
type DryRun = Schemas["DryRun"];
type Fields = { [name: string]: unknown };

const OBJECTIVES = {
  OUTCOME_SALES: "Sales", OUTCOME_LEADS: "Leads", OUTCOME_TRAFFIC: "Traffic", OUTCOME_ENGAGEMENT: "Engagement", OUTCOME_AWARENESS: "Awareness", OUTCOME_APP_PROMOTION: "App promotion",
};
const EVENTS = ["PURCHASE", "ADD_TO_CART", "INITIATED_CHECKOUT", "LEAD", "COMPLETE_REGISTRATION", "CONTENT_VIEW"];
const BUTTONS = ["SHOP_NOW", "LEARN_MORE", "SIGN_UP", "BOOK_TRAVEL", "CONTACT_US", "DOWNLOAD", "GET_OFFER", "SUBSCRIBE"];

/** What is said of a launch. */
const STATES: Record<Schemas["LaunchState"], string> = {
  running: "In progress", committed: "Launched, paused", rolling_back: "Being taken back", rolled_back: "Not launched: nothing is left at Meta", needs_review: "Look at it in Ads Manager",
};

/** Milliseconds after the last change after which the document is checked. */
const CHECK_MS = 400;

const start = (currency: string): Document => ({
  name: "", objective: "OUTCOME_SALES", daily_budget: { amount: 5000, currency },
  ad_set: { countries: [], promoted_object: { custom_event_type: "PURCHASE" } },
  ad: { creative: { link: { link: "", message: "", call_to_action: "SHOP_NOW" } } },
});

const write = (document: unknown) => JSON.stringify(document, null, 2);

export default function NewLaunch() {
  const accounts = (adAccounts.value.data ?? []).filter(({ selected, connection }) => selected && connection);
  const wanted = params.value.get("account");
  const account = accounts.find(({ id }) => id === wanted) ?? accounts[0];
  if (!can("editor")) return <><Head title="New launch" /><p>Editors and owners launch campaigns.</p></>;
  if (adAccounts.value.data && !account) return <><Head title="New launch" /><p>A launch needs a connected ad account. <a href={inWorkspace("connections")}>Connections</a></p></>;
  const launch = params.value.get("launch");
  if (account && launch) return <Progress id={launch} account={account} />;
  return account ? <Editor account={account} accounts={accounts} /> : null;
}

/** The document that is being written: it stays while somebody looks at another page, or chooses another ad account. */
let draft: { workspace: string; text: string } | undefined;

function Editor({ account, accounts }: { account: AdAccount; accounts: AdAccount[] }) {
  const workspace = path.value[1]!;
  const [text, setText] = useState(() => (draft?.workspace === workspace ? draft.text : write(start(account.currency))));
  const [checked, setChecked] = useState<DryRun & { byMeta?: boolean }>();
  const [problem, setProblem] = useState<Error>();
  const [confirming, setConfirming] = useState(false);
  const [launch, setLaunch] = useState<string>();
  const [key, setKey] = useState(idempotencyKey);
  const document = parsed(text);
  const change = (next: string) => (setText((draft = { workspace, text: next }).text), setKey(idempotencyKey()), setProblem(undefined));
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => draft && event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, []);

  const check = async (askMeta: boolean, signal?: AbortSignal) => {
    const query = { dry_run: true, ask_meta: askMeta };
    const header = { "Idempotency-Key": key };
    const request = api.POST("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns", {
      params: { ...accountPath(account.id), query, header }, body: document as Document, ...(signal && { signal }),
    });
    try {
      setChecked({ ...((await answer(request)) as unknown as DryRun), byMeta: askMeta });
      setProblem(undefined);
    } catch (error) {
      if (signal?.aborted) return;
      // A document of another shape is refused before it is checked, with its fields.
      const findings = error instanceof Problem ? error.errors : [];
      setChecked({ launchable: false, findings, requests: [] });
      setProblem(findings.length > 0 ? undefined : (error as Error));
    }
  };
  useEffect(() => {
    if (!document) return;
    const left = new AbortController();
    const timer = setTimeout(() => void check(false, left.signal), CHECK_MS);
    return () => (clearTimeout(timer), left.abort());
  }, [text, account.id]);

  const send = async () => {
    setConfirming(false);
    const header = { "Idempotency-Key": key };
    try {
      const sent = await answer(api.POST("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns", { params: { ...accountPath(account.id), header }, body: document as Document }));
      draft = undefined;
      setLaunch((sent as Schemas["LaunchView"]).launch_id);
    } catch (error) {
      setProblem(error as Error);
    }
  };
  if (launch) return <Progress id={launch} account={account} onAgain={() => (setLaunch(undefined), setKey(idempotencyKey()))} />;
  const findings = document ? checked?.findings ?? [] : [{ field: "document", message: "is no JSON" }];
  return (
    <>
      <Head title="New launch" />
      <div class="launch">
        <section class="card" aria-label="Form">
          <form onSubmit={(event) => (event.preventDefault(), setConfirming(true))}>
            <label>Ad account<select value={account.id} onChange={(event) => setParams({ account: event.currentTarget.value })}>{accounts.map((one) => <option key={one.id} value={one.id}>{nameOf(one)}</option>)}</select></label>
            {document && <Form document={document} account={account} findings={findings} onChange={(next) => change(write(next))} />}
            <p class="actions">
              <button type="submit" class="button primary" disabled={!checked?.launchable}>Launch …</button>
              <button type="button" class="button" disabled={!document} onClick={() => void check(true)}>Check at Meta</button>
            </p>
          </form>
        </section>
        <section class="card" aria-label="Document">
          <label>Document<textarea class="code" spellcheck={false} rows={26} value={text} onInput={(event) => change(event.currentTarget.value)} /></label>
        </section>
        <section class="card" aria-label="Findings" aria-live="polite">
          {problem && <Failure what="It was not launched." error={problem} />}
          {findings.length > 0 && <ul class="findings">{findings.map(({ field, message }) => <li key={field + message} data-field={field}><code>{field}</code> {message}</li>)}</ul>}
          {findings.length === 0 && checked && !problem && <p>{checked.byMeta ? "Meta would create the campaign. It can check ad sets and ads only once those above them exist." : "Nothing is wrong with the document, as far as is known here."}</p>}
          {checked && checked.requests.length > 0 && (
            <details>
              <summary>{checked.requests.length} requests would be sent</summary>
              {checked.requests.map(({ step, path: edge, parameters }) => <pre key={step} class="code">{`${step}: POST ${edge}\n${Object.entries(parameters).map(([name, value]) => `  ${name}=${value}`).join("\n")}`}</pre>)}
            </details>
          )}
        </section>
        {document && <Preview document={text} ads={adsOf(checked)} load={(format, ad) => answer(api.POST("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/previews", {
          params: { ...accountPath(account.id), query: { ad_format: format, ...(ad && { ad }) } }, body: document as Document,
        }))} />}
      </div>
      {confirming && checked && (
        <Dialog title={`Launch “${document?.["name"] as string}”?`} onClose={() => setConfirming(false)}>
          <p>{summary(checked)} in {nameOf(account)}: all of them, paused, or nothing.</p>
          <p class="actions">
            <button type="button" class="button primary" autofocus onClick={() => void send()}>Launch</button>
            <button type="button" class="button" onClick={() => setConfirming(false)}>Cancel</button>
          </p>
        </Dialog>
      )}
    </>
  );
}

/** Returns where the document has its ads. */
const adsOf = (checked: DryRun | undefined) => (checked?.requests ?? []).map(({ step }) => step).filter((step) => step.includes(".ads["));

function summary({ requests }: DryRun): string {
  const count = (edge: string) => requests.filter(({ path: one }) => one.endsWith(edge)).length;
  const several = (number: number, noun: string) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  return `This creates a campaign with ${several(count("/adsets"), "ad set")} and ${several(count("/ads"), "ad")}`;
}

function parsed(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the value at a path of a document. */
function at(document: Fields, names: string[]): unknown {
  return names.reduce<unknown>((value, name) => (value as Fields | undefined)?.[name], document);
}

/** Returns the lines of a text that say something. */
function lines(text: string): string[] | undefined {
  const found = text.split("\n").map((line) => line.trim()).filter(Boolean);
  return found.length > 0 ? found : undefined;
}

/** Returns a document with another value at a path; an empty one takes the field away. */
function withValue(document: Fields, [name, ...rest]: string[], value: unknown): Fields {
  const next = { ...document };
  const inner = rest.length > 0 ? withValue((document[name!] as Fields | undefined) ?? {}, rest, value) : value;
  if (inner === "" || inner === undefined) delete next[name!];
  else next[name!] = inner;
  return next;
}

interface FormProps {
  document: Fields;
  account: AdAccount;
  findings: { field: string }[];
  onChange: (document: Fields) => void;
}

/** The fields that most launches have. What else the document says, it keeps. */
function Form({ document, account, findings, onChange }: FormProps) {
  const digits = digitsOf(account);
  const set = (name: string, value: unknown) => onChange(withValue(document, name.split("."), value));
  // The document may have been changed while a file was uploaded.
  const latest = useRef(set);
  latest.current = set;
  const text = (name: string) => String(at(document, name.split(".")) ?? "");
  const wrong = (name: string) => findings.some(({ field }) => field === name || field.startsWith(`${name}.`) || field.startsWith(`${name}[`));
  const line = (name: string, label: string, more = {}) => (
    <label>{label}<input value={text(name)} aria-invalid={wrong(name)} onInput={(event) => set(name, event.currentTarget.value)} {...more} /></label>
  );
  const choice = (name: string, label: string, options: Record<string, string>) => (
    <label>{label}<select value={text(name)} aria-invalid={wrong(name)} onChange={(event) => set(name, event.currentTarget.value)}>{Object.entries(options).map(([value, shown]) => <option key={value} value={value}>{shown}</option>)}</select></label>
  );
  const inSets = at(document, ["ad_sets"]) !== undefined;
  const amount = at(document, ["daily_budget", "amount"]);
  const [budget, setBudget] = useState(typeof amount === "number" ? typedText(majorText(amount, digits)) : "");
  const none = { "": "—" };
  return (
    <>
      {line("name", "Name", { maxLength: 350, autofocus: true })}
      {choice("objective", "Objective", OBJECTIVES)}
      <label>Daily budget ({account.currency})<input class="number" inputMode="decimal" value={budget} aria-invalid={wrong("daily_budget")}
        onInput={(event) => {
          setBudget(event.currentTarget.value);
          const minor = minorUnits(event.currentTarget.value, digits);
          set("daily_budget", minor ? { amount: minor, currency: account.currency } : undefined);
        }} /></label>
      {inSets ? <p class="fine">The document has several ad sets, which are changed there.</p> : (
        <>
          <label>Countries<input value={((at(document, ["ad_set", "countries"]) as string[] | undefined) ?? []).join(", ")} placeholder="SG, MY" aria-invalid={wrong("ad_set.countries")}
            onChange={(event) => set("ad_set.countries", event.currentTarget.value.toUpperCase().split(/[\s,]+/).filter(Boolean))} /></label>
          <label class="check"><input type="checkbox" checked={at(document, ["ad_set", "advantage_audience"]) === true} onChange={(event) => set("ad_set.advantage_audience", event.currentTarget.checked || undefined)} /> Let Meta look beyond the audience</label>
          {choice("ad_set.promoted_object.custom_event_type", "Conversion event", { ...none, ...Object.fromEntries(EVENTS.map((event) => [event, words(event)])) })}
          {line("ad_set.promoted_object.pixel_id", "Pixel", { placeholder: "the ad account's default" })}
        </>
      )}
      {at(document, ["ad", "creative", "link"]) !== undefined && (
        <>
          {line("ad.creative.link.page", "Page", { placeholder: "the ad account's default" })}
          {line("ad.creative.link.link", "Link", { type: "url", placeholder: "https://example.com/sale" })}
          <label>Text<textarea rows={3} value={text("ad.creative.link.message")} aria-invalid={wrong("ad.creative.link.message")} onInput={(event) => set("ad.creative.link.message", event.currentTarget.value)} /></label>
          {line("ad.creative.link.headline", "Headline")}
          <label>More headlines, one per line<textarea rows={2} value={((at(document, ["ad", "creative", "link", "more_headlines"]) as string[] | undefined) ?? []).join("\n")} placeholder="Meta shows each viewer one" aria-invalid={wrong("ad.creative.link.more_headlines")}
            onChange={(event) => set("ad.creative.link.more_headlines", lines(event.currentTarget.value))} /></label>
          <MediaField account={account} image={text("ad.creative.link.image")} video={text("ad.creative.link.video")} onChange={(kind, media) => latest.current(`ad.creative.link.${kind}`, media)} />
          {choice("ad.creative.link.call_to_action", "Button", { ...none, ...Object.fromEntries(BUTTONS.map((button) => [button, words(button)])) })}
        </>
      )}
    </>
  );
}

const STEP_TONES = { planned: "", requested: "busy", created: "good" } as const;

/** How a launch goes, step by step. */
function Progress({ id, account, onAgain }: { id: string; account: AdAccount; onAgain?: () => void }) {
  const workspace = path.value[1]!;
  const found = useResource(`launch:${id}`, (signal) =>
    answer(api.GET("/v1/workspaces/{workspace}/launches/{launch}", { params: { path: { workspace, launch: id } }, signal })), {
    every: ({ state }) => (["running", "rolling_back"].includes(state) ? 2000 : undefined), shows: ["launches"],
  });
  const launch = found.data;
  const activate = async () => {
    try {
      await answer(api.PUT("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}/schedules/{action}", {
        params: { path: { ...accountPath(account.id).path, id: launch!.campaign_id!, action: "activate" } }, body: { at: "now" },
      }));
      notify(`“${launch!.name}” starts`);
      navigate(inWorkspace(`${account.id}/campaigns/${launch!.campaign_id}`));
    } catch (error) {
      notify(`“${launch!.name}” was not started: ${(error as Error).message}`, { tone: "bad" });
    }
  };
  return (
    <>
      <Head title={launch ? `Launch of “${launch.name}”` : "Launch"} />
      {found.error && <Failure what="The launch could not be read." error={found.error} retry={found.reload} />}
      {launch && (
        <section class="card table-card" aria-label="Steps">
          <div class="toolbar"><h2>{STATES[launch.state]}</h2>{launch.failure && <span>{launch.failure}</span>}</div>
          <table class="plain">
            <thead><tr><th scope="col">Name</th><th scope="col">State</th><th scope="col">Where in the document</th><th scope="col">Id</th></tr></thead>
            <tbody>{launch.steps?.map((step) => (
              <tr key={step.path} data-step={step.path}><th scope="row" class="wrap">{step.name}</th><td><span class={`state ${STEP_TONES[step.state]}`}>{words(step.state)}</span></td><td><code>{step.path}</code></td><td>{step.id ?? "—"}</td></tr>
            ))}</tbody>
          </table>
          {launch.differences && (
            <div class="banner bad">
              <ul>{launch.differences.map(({ path, field, asked, shown }) => <li key={path + field}><b>{path}</b> {field}: asked for {asked}, Meta has {shown}</li>)}</ul>
            </div>
          )}
          <p class="actions">
            {launch.state === "committed" && !launch.added_to && <button type="button" class="button primary" onClick={() => void activate()}>Start it now</button>}
            {launch.campaign_id && launch.state === "committed" && <a class="button" href={inWorkspace(`${account.id}/campaigns/${launch.campaign_id}`)}>Open the campaign</a>}
            {launch.state === "rolled_back" && onAgain && <button type="button" class="button" onClick={onAgain}>Change the document</button>}
          </p>
        </section>
      )}
    </>
  );
}
