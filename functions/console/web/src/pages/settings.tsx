// Settings of the workspace, and what launches take where their document says nothing.

import { useState } from "preact/hooks";
import { api, answer, Problem, type Schemas } from "../api";
import { dense, shortcutsOn, toggleDensity, toggleShortcuts } from "../parts/preferences";
import { Head } from "../parts/shell";
import { Failure, Skeleton } from "../parts/states";
import { notify } from "../parts/toast";
import { invalidate, useResource } from "../resource";
import { path } from "../route";
import { accountPath, adAccount, can, nameOf, workspace, type AdAccount } from "../store";
import { theme, toggleTheme } from "../theme";

export default function Settings() {
  const account = adAccount.value;
  return (
    <>
      <Head title="Settings" />
      <div class="cards">
        <section class="card" aria-label="This browser">
          <h2>This browser</h2>
          <label class="check"><input type="checkbox" checked={theme.value === "dark"} onChange={toggleTheme} /> Dark theme</label>
          <label class="check"><input type="checkbox" checked={dense.value} onChange={toggleDensity} /> Compact rows</label>
          <label class="check"><input type="checkbox" checked={shortcutsOn.value} onChange={toggleShortcuts} /> Keyboard shortcuts</label>
        </section>
        {can("owner") && <WorkspaceName />}
        {account && !account.source && <Defaults key={account.id} account={account} />}
      </div>
    </>
  );
}

function WorkspaceName() {
  const id = path.value[1]!;
  const [name, setName] = useState(workspace.value?.name ?? "");
  const [refusal, setRefusal] = useState<string>();
  const save = async (event: Event) => {
    event.preventDefault();
    try {
      await answer(api.PATCH("/v1/workspaces/{workspace}", { params: { path: { workspace: id } }, body: { name } }));
      notify(`The workspace is called “${name}” now`);
      invalidate("workspaces");
    } catch (error) {
      setRefusal((error as Error).message);
    }
  };
  return (
    <section class="card" aria-label="Workspace">
      <h2>Workspace</h2>
      <form class="line" onSubmit={save}>
        <label>Name<input required value={name} onInput={(event) => (setName(event.currentTarget.value), setRefusal(undefined))} /></label>
        <button type="submit" class="button" disabled={name === workspace.value?.name}>Rename</button>
      </form>
      {refusal && <p class="bad-text" role="alert">{refusal}</p>}
      <p class="fine">Workspace id: <code>{id}</code></p>
    </section>
  );
}

type Field = "page" | "instagram_user" | "pixel" | "catalog" | "domain";

const FIELDS: [Field, string][] = [
  ["page", "Facebook Page"], ["instagram_user", "Instagram account"], ["pixel", "Pixel"], ["catalog", "Catalog"], ["domain", "Conversion domain"],
];

function Defaults({ account }: { account: AdAccount }) {
  const found = useResource(`defaults:${account.id}`, async (signal) => {
    const read = await api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/defaults", { params: accountPath(account.id), signal });
    return { stored: await answer(Promise.resolve(read)), version: read.response.headers.get("etag") };
  });
  return (
    <section class="card" aria-label="Launch defaults">
      <h2>Launch defaults of {nameOf(account)}</h2>
      <p class="fine">Ids at Meta, used where a launch document leaves them out.</p>
      {found.error && <Failure what="The defaults could not be read." error={found.error} retry={found.reload} />}
      {!found.data && !found.error && <Skeleton lines={5} />}
      {found.data && <DefaultsForm key={found.data.version} account={account} {...found.data} reload={found.reload} />}
    </section>
  );
}

/** What somebody else has saved since it was read is not saved over. */
function DefaultsForm({ account, stored, version, reload }: { account: AdAccount; stored: Schemas["LaunchDefaults"]; version: string | null; reload: () => void }) {
  const [draft, setDraft] = useState(stored);
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [isStale, setStale] = useState(false);
  const save = async (event: Event) => {
    event.preventDefault();
    try {
      const params = { ...accountPath(account.id), ...(version && { header: { "If-Match": version } }) };
      await answer(api.PUT("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/defaults", { params, body: draft as never }));
      notify(`The launch defaults of ${nameOf(account)} are saved`);
      invalidate(`defaults:${account.id}`);
      setErrors({});
    } catch (error) {
      setStale(error instanceof Problem && error.kind === "stale-version");
      const fields = error instanceof Problem ? error.errors : [];
      const known = fields.filter(({ field }) => FIELDS.some(([name]) => name === field));
      const others = fields.filter((one) => !known.includes(one)).map(({ field, message }) => `${field} ${message}`);
      setErrors({
        ...Object.fromEntries(known.map(({ field, message }) => [field, message])),
        ...(known.length === 0 && { "": others.join("; ") || (error as Error).message }),
      });
    }
  };
  const set = (field: Field, value: string) => {
    const { [field]: _, ...rest } = draft;
    setDraft(value ? { ...rest, [field]: value } : rest);
  };
  return (
    <form onSubmit={save}>
      {FIELDS.map(([field, label]) => (
        <label key={field}>
          {label}
          <input value={draft[field] ?? ""} disabled={!can("editor")} aria-invalid={errors[field] !== undefined} onInput={(event) => set(field, event.currentTarget.value.trim())} />
          {errors[field] && <span class="bad-text">{errors[field]}</span>}
        </label>
      ))}
      {errors[""] && <p class="bad-text" role="alert">{errors[""]} {isStale && <button type="button" class="button" onClick={reload}>Show what was saved instead</button>}</p>}
      {can("editor") && <p class="actions"><button type="submit" class="button primary">Save</button></p>}
    </form>
  );
}
