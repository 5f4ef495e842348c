// The palette: pages, ad accounts, campaigns and commands by a few letters. It is always on the page, so that it opens
// before the next letter is typed.

import { useEffect, useRef, useState } from "preact/hooks";
import { api, answer } from "../api";
import { useResource } from "../resource";
import { navigate } from "../route";
import { signOut } from "../session";
import { accountPath, adAccount, adAccounts, inWorkspace, nameOf, workspaces } from "../store";
import { toggleTheme } from "../theme";
import { Dialog } from "./dialog";
import { entries } from "./entries";
import { helpOpen, shortcutsOn, toggleDensity, toggleShortcuts } from "./preferences";
import { KEYS } from "./keys";

interface Item {
  label: string;
  hint: string;
  run: () => void;
}

let open = () => {};

/** Opens it before the next letter is typed. */
export const openPalette = (): void => open();

const MAX_ITEMS = 12;

export function Palette() {
  const dialog = useRef<HTMLDialogElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  useEffect(() => {
    open = () => {
      if (dialog.current!.open) return;
      setText("");
      setActive(0);
      dialog.current!.showModal();
      input.current!.focus();
    };
    return () => void (open = () => {});
  }, []);

  const account = adAccount.value;
  const q = text.trim();
  const found = useResource(
    account && q.length > 1 ? `palette:${account.id}:${q}` : undefined,
    (signal) => answer(api.GET("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns", {
      params: { ...accountPath(account!.id), query: { q, limit: 6, fields: ["spend"] } }, signal,
    })),
  );
  const matches = (label: string) => label.toLowerCase().includes(q.toLowerCase());
  const campaigns = q.length > 1 ? (found.data?.data ?? []) : [];
  const items: Item[] = [
    ...entries().map(({ label, href }) => ({ label, hint: "Page", run: () => navigate(href) })),
    ...(adAccounts.value.data ?? []).map((one) => ({ label: nameOf(one), hint: "Ad account", run: () => navigate(inWorkspace(`${one.id}/campaigns`)) })),
    ...(workspaces.value ?? []).map(({ workspace, name }) => ({ label: name ?? workspace, hint: "Workspace", run: () => navigate(`/w/${workspace}/overview`) })),
    { label: "Light or dark theme", hint: "Command", run: toggleTheme },
    { label: "Rows with one line or two", hint: "Command", run: toggleDensity },
    { label: "Keys", hint: "Command", run: () => (helpOpen.value = true) },
    { label: "Sign out", hint: "Command", run: () => void signOut() },
  ].filter(({ label }) => matches(label));
  items.push(...campaigns.filter(({ name }) => matches(name ?? "")).map((one) => ({
    label: nameOf(one), hint: "Campaign", run: () => navigate(inWorkspace(`${account!.id}/campaigns/${one.id}`)),
  })));
  const shown = items.slice(0, MAX_ITEMS);
  const chosen = Math.min(active, shown.length - 1);
  const run = (item: Item | undefined) => {
    if (!item) return;
    dialog.current!.close();
    item.run();
  };
  return (
    <>
      <dialog
        ref={dialog} class="dialog palette" aria-label="Search or run a command"
        onClick={(event) => event.target === dialog.current && dialog.current!.close()}
      >
        <input
          ref={input} type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list"
          aria-activedescendant={chosen >= 0 ? `palette-${chosen}` : undefined} aria-label="Search or run a command"
          placeholder="A page, an ad account, a campaign, a command" value={text} autocomplete="off"
          onInput={(event) => (setText(event.currentTarget.value), setActive(0))}
          onKeyDown={(event) => {
            // These keys choose what an input method offers.
            if (event.isComposing) return;
            if (event.key === "ArrowDown") setActive(Math.min(shown.length - 1, chosen + 1));
            else if (event.key === "ArrowUp") setActive(Math.max(0, chosen - 1));
            else if (event.key === "Enter") run(shown[chosen]);
            else return;
            event.preventDefault();
          }}
        />
        <ul id="palette-list" role="listbox" aria-label="What was found">
          {shown.map((item, index) => (
            <li
              key={`${item.hint}-${item.label}-${index}`} id={`palette-${index}`} role="option" aria-selected={index === chosen}
              onClick={() => run(item)} onPointerMove={() => setActive(index)}
            >
              <span class="cut">{item.label}</span><small>{item.hint}</small>
            </li>
          ))}
        </ul>
        {shown.length === 0 && <p class="fine">{found.loading ? "Searching …" : "No results"}</p>}
      </dialog>
      {helpOpen.value && (
        <Dialog title="Keys" onClose={() => (helpOpen.value = false)}>
          <dl class="keys">
            {KEYS.map(([key, what]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}
          </dl>
          <label class="check"><input type="checkbox" checked={shortcutsOn.value} onChange={toggleShortcuts} /> Keyboard shortcuts</label>
          <p><button type="button" class="button" onClick={() => (helpOpen.value = false)} autofocus>Close</button></p>
        </Dialog>
      )}
    </>
  );
}
