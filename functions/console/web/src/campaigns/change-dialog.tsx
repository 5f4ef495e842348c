// New values for the selected rows, with what they would do to each, as the API says it before anything is changed.

import { useEffect, useState } from "preact/hooks";
import { Problem, type Schemas } from "../api";
import { decimal, majorText, moment, plural, UNKNOWN } from "../format";
import { Dialog } from "../parts/dialog";
import { digitsOf, nameOf, type AdAccount } from "../store";
import type { Row } from "./levels";
import { changesOf, previewOf, type NewValues, type Preview } from "./many";
import { minorUnits, parseDecimal } from "../typed";

export type Kind = "budget" | "name" | "end" | "countries" | "tags";

interface KindInfo {
  title: string;
  /** What is said when it is done. */
  done: string;
  /** Whether a row has it. */
  has: (row: Row) => boolean;
  /** The ways to set it, each with what is typed for it, and what typed text means; nothing for text that means nothing. */
  ways: { label: string; field: string; isTime?: true; set: (typed: string, account: AdAccount) => NewValues | undefined }[];
}

const named = (edit: (typed: string) => Schemas["NameEdit"]) => (typed: string): NewValues | undefined => (typed ? { name: edit(typed) } : undefined);

export const KINDS: Record<Kind, KindInfo> = {
  budget: {
    title: "Daily budget", done: "Budgets changed", has: ({ entity }) => Boolean(entity.daily_budget),
    ways: [
      {
        label: "By percent", field: "Percent, such as 20 or -15",
        set: (typed) => {
          const [, sign = "", size = ""] = /^([+\-−]?)(.*)$/.exec(typed.trim()) ?? [];
          const percent = Number(parseDecimal(size) ?? "0") * (sign === "-" || sign === "−" ? -1 : 1);
          return Number.isInteger(percent) && percent !== 0 ? { daily_budget: { by_percent: percent } } : undefined;
        },
      },
      {
        label: "To an amount", field: "Amount",
        set: (typed, account) => {
          const amount = minorUnits(typed, digitsOf(account));
          return amount ? { daily_budget: { amount, currency: account.currency } } : undefined;
        },
      },
    ],
  },
  name: {
    title: "Name", done: "Renamed", has: () => true,
    ways: [
      { label: "Text before", field: "Text to put before each name", set: named((prefix) => ({ prefix })) },
      { label: "Text after", field: "Text to put after each name", set: named((suffix) => ({ suffix })) },
      {
        label: "Replace", field: "Text to find = text to put in its place",
        set: (typed) => {
          const [, find = "", put = ""] = /^(.+?)\s*=\s*(.*)$/.exec(typed) ?? [];
          return find ? { name: { replace: { find, with: put } } } : undefined;
        },
      },
    ],
  },
  end: {
    title: "End", done: "Ends changed", has: ({ level }) => level === "adset",
    ways: [
      { label: "At a time", field: "End, in the time of the ad account", isTime: true, set: (typed) => (typed ? { end: typed } : undefined) },
      { label: "Never", field: "", set: () => ({ end: null }) },
    ],
  },
  countries: {
    title: "Countries", done: "Countries changed", has: ({ level }) => level === "adset",
    ways: [{
      label: "These alone", field: "Countries, such as DE, AT",
      set: (typed) => {
        const countries = typed.toUpperCase().match(/[A-Z]+/g) ?? [];
        return countries.length > 0 && countries.every(({ length }) => length === 2) ? { countries } : undefined;
      },
    }],
  },
  tags: {
    title: "URL parameters", done: "URL parameters changed", has: ({ level }) => level === "ad",
    ways: [
      { label: "These", field: "Parameters, such as utm_source=meta", set: (typed) => (typed ? { url_tags: typed } : undefined) },
      { label: "None", field: "", set: () => ({ url_tags: null }) },
    ],
  },
};

/** Meta lets only the name of what is archived be changed. */
const isArchived = ({ entity }: Row) => entity.status === "ARCHIVED";

/** How long nothing is typed before the API is asked; longer where it has to ask Meta. */
const PAUSE_MS = 250;
const PAUSE_FOR_META_MS = 1_500;

export function ChangeDialog({ account, rows, kinds, onSave, onClose }: {
  account: AdAccount;
  rows: Row[];
  kinds: Kind[];
  onSave: (what: string, rows: Row[], set: NewValues, preview: string) => void;
  onClose: () => void;
}) {
  const [kind, setKind] = useState(kinds[0]!);
  const [wayNumber, setWay] = useState(0);
  const [typed, setTyped] = useState("");
  const [found, setFound] = useState<{ preview?: Preview; error?: Error }>({});
  const info = KINDS[kind];
  const way = info.ways[wayNumber]!;
  const chosen = rows.filter((row) => info.has(row) && (kind === "name" || !isArchived(row)));
  const set = way.set(typed, account);
  useEffect(() => {
    setFound({});
    if (!set) return;
    const abort = new AbortController();
    const timer = setTimeout(() => void previewOf(account, changesOf(chosen, set), abort.signal).then(
      (preview) => setFound({ preview }),
      (error: unknown) => abort.signal.aborted || setFound({ error: error as Error }),
    ), ["tags", "countries"].includes(kind) ? PAUSE_FOR_META_MS : PAUSE_MS);
    return () => (clearTimeout(timer), abort.abort());
  }, [JSON.stringify(set), kind]);
  const digits = digitsOf(account);
  /** Writes the one value of an object that is changed. */
  const shown = (values: Preview["objects"][number]["before"]): string => {
    const { daily_budget: budget, name, end, url_tags: tags, targeting } = values;
    if (budget) return decimal(majorText(budget.amount, digits), digits);
    if (end) return moment(end, account.timezone);
    const countries = targeting?.["geo_locations.countries"] as string[] | null | undefined;
    return name ?? tags ?? countries?.join(", ") ?? UNKNOWN;
  };
  const { preview, error } = found;
  const more = kind === "budget" && preview ? preview.objects.reduce((sum, { before, after }) => sum + (after.daily_budget?.amount ?? 0) - (before.daily_budget?.amount ?? 0), 0) : 0;
  const by = more === 0 ? "" : `, ${more < 0 ? "−" : "+"}${decimal(majorText(Math.abs(more), digits), digits)} ${account.currency} a day in all`;
  const side = kind === "budget" ? "number" : "wrap";
  const skipped = rows.length - chosen.length;
  return (
    <Dialog title={kinds.length === 1 ? `Change: ${info.title.toLowerCase()}` : "Change"} onClose={onClose} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (set && preview && preview.changing > 0) onSave(`${info.done}${by}`, chosen, set, preview.preview);
        }}
      >
        {kinds.length > 1 && (
          <label>
            What
            <select value={kind} onChange={(event) => (setKind(event.currentTarget.value as Kind), setWay(0), setTyped(""))}>
              {kinds.map((one) => <option key={one} value={one}>{KINDS[one].title}</option>)}
            </select>
          </label>
        )}
        <div class="segments" role="group" aria-label="How">
          {info.ways.map(({ label }, number) => (
            <button key={label} type="button" aria-pressed={number === wayNumber} onClick={() => (setWay(number), setTyped(""))}>{label}</button>
          ))}
        </div>
        {way.field && (
          <label>
            {kind === "budget" && wayNumber === 1 ? `Amount in ${account.currency}` : way.field}
            {way.isTime
              ? <input type="datetime-local" value={typed} autofocus onInput={(event) => setTyped(event.currentTarget.value)} />
              : <input inputMode={kind === "budget" ? "decimal" : "text"} value={typed} autofocus onInput={(event) => setTyped(event.currentTarget.value)} />}
          </label>
        )}
        {error && (
          <ul class="refusals" role="alert">
            {error instanceof Problem && error.errors.length > 0
              ? error.errors.slice(0, 5).map(({ field, message }) => <li key={field}>{message}</li>)
              : <li>{error.message}</li>}
          </ul>
        )}
        <div class="table-scroll" tabIndex={0} role="region" aria-label="What would change" aria-busy={Boolean(set) && !preview && !error}>
          <table class="plain">
            <thead><tr><th scope="col">Name</th><th scope="col" class={side}>Current</th><th scope="col" class={side}>New</th></tr></thead>
            <tbody>
              {preview
                ? preview.objects.map(({ id, name, before, after }) => (
                  <tr key={id}><th scope="row">{name ?? id}</th><td class={side}>{shown(before)}</td><td class={side}>{shown(after)}</td></tr>
                ))
                : chosen.map(({ entity }) => <tr key={entity.id}><th scope="row">{nameOf(entity)}</th><td class={side} /><td class={side} /></tr>)}
            </tbody>
          </table>
        </div>
        {skipped > 0 && <p class="fine">{plural(skipped, "selected row")} without {info.title.toLowerCase()}{kind !== "name" && rows.some(isArchived) && ", or archived,"} {skipped === 1 ? "is" : "are"} not changed.</p>}
        <p class="actions">
          <button type="submit" class="button primary" disabled={!preview || preview.changing === 0}>Change {plural(preview?.changing ?? chosen.length, "object")}</button>
          <button type="button" class="button" onClick={onClose}>Cancel</button>
        </p>
      </form>
    </Dialog>
  );
}
