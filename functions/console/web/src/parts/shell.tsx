// The frame of every page: navigation, the ad account, freshness, and the person.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import icon from "../icon.svg";
import { navigate, params, path } from "../route";
import { session, signOut } from "../session";
import { adAccount, adAccounts, inWorkspace, nameOf, workspace, workspaces } from "../store";
import { theme, toggleTheme } from "../theme";
import { Dialog } from "./dialog";
import { Arrival, Freshness } from "./freshness";
import { entries } from "./entries";
import { Icon } from "./icons";
import { Palette, openPalette } from "./palette";
import { Popover } from "./popover";
import { startShortcuts } from "./shortcuts";
import { Invitations, NewWorkspace } from "./workspaces";

/** Entries of the bar at the bottom of a phone; the others are in the person's menu. */
const BAR_ENTRIES = 4;

export function Shell({ page, children }: { page: string | undefined; children: ComponentChildren }) {
  useEffect(() => startShortcuts(), []);
  const [creating, setCreating] = useState(false);
  const state = session.value;
  const person = state.kind === "signed-in" || state.kind === "ended" ? state.person : undefined;
  const list = entries();
  const title = list.find((entry) => entry.page === page)?.label ?? "Adflight";
  const where = workspace.value?.name ?? path.value[1];
  useEffect(() => void (document.title = `${title} · ${where} · Adflight`), [title, where]);
  return (
    <div class="shell">
      <a class="skip" href="#content" onClick={(event) => (event.preventDefault(), document.getElementById("content")?.focus())}>Skip to content</a>
      <nav class="side" aria-label="Pages">
        <a class="brand" href={inWorkspace("overview")}><img src={icon} alt="" width="24" height="24" />Adflight</a>
        <ul>
          {list.map(({ page: name, label, icon: symbol, href }) => (
            <li key={name}>
              <a href={href} aria-current={name === page ? "page" : undefined}><Icon name={symbol} /><span>{label}</span></a>
            </li>
          ))}
        </ul>
        <div class="side-end">
          <Arrival />
          <Freshness />
          {person && (
            <Popover
              class="person" name="You and your workspaces"
              label={<><span class="avatar" aria-hidden="true">{initials(person.name)}</span><span><b>{person.name}</b><small>{workspace.value?.role} · {workspace.value?.name ?? path.value[1]}</small></span></>}
            >
              {(close) => (
                <ul class="menu">
                  {list.slice(BAR_ENTRIES).map(({ page: name, label, href }) => (
                    <li key={name} class="narrow-only"><a href={href} onClick={close} aria-current={name === page ? "true" : undefined}>{label}</a></li>
                  ))}
                  {(workspaces.value ?? []).length > 1 && workspaces.value!.map(({ workspace: id, name }) => (
                    <li key={id}><a href={`/w/${id}/overview`} onClick={close} aria-current={id === path.value[1] ? "true" : undefined}>{name ?? id}</a></li>
                  ))}
                  <li><button type="button" onClick={() => (setCreating(true), close())}>New workspace …</button></li>
                  <li><button type="button" onClick={() => (toggleTheme(), close())}>{theme.value === "dark" ? "Light" : "Dark"} theme</button></li>
                  <li><button type="button" onClick={() => void signOut()}>Sign out</button></li>
                </ul>
              )}
            </Popover>
          )}
        </div>
      </nav>
      <div class="page">
        <main id="content" tabIndex={-1} data-page={page}><Invitations />{children}</main>
      </div>
      <Palette />
      {creating && <Dialog title="New workspace" onClose={() => setCreating(false)}><NewWorkspace onDone={() => setCreating(false)} /></Dialog>}
    </div>
  );
}

const initials = (name: string) => name.split(/\s+/).map(([first]) => first).slice(0, 2).join("").toUpperCase();

/** The head of a page: its title, what it is about, and what can be done. */
export function Head({ title, children, account = false }: { title: string; children?: ComponentChildren; account?: boolean }) {
  return (
    <header class="head">
      <h1>{title}</h1>
      {account && <AccountSwitcher />}
      <div class="head-actions">
        <button type="button" class="search" onClick={openPalette}><Icon name="search" /><span>Search or jump to</span><kbd>Ctrl K</kbd></button>
        {children}
        <button type="button" class="icon-button" aria-label={`${theme.value === "dark" ? "Light" : "Dark"} theme`} onClick={toggleTheme}>
          <Icon name={theme.value === "dark" ? "sun" : "moon"} />
        </button>
      </div>
    </header>
  );
}

/** Ad accounts from which on the list is searched. */
const SEARCHED_FROM = 10;

/** Says which ad account a page is about, and leads to the campaigns of another. */
function AccountSwitcher() {
  const current = adAccount.value;
  const all = adAccounts.value.data ?? [];
  const [wanted, setWanted] = useState("");
  if (!current) return null;
  const label = <><span class="cut">{nameOf(current)}</span> <small>{shortId(current.id)} · {current.currency}</small></>;
  if (all.length < 2) return <p class="account">{label}</p>;
  const to = (id: string) => {
    // Another account has other campaigns: what names one of them does not carry over.
    const kept = new URLSearchParams([...params.value].filter(([name]) => ["level", "sort", "order", "cols"].includes(name)));
    return inWorkspace(`${id}/campaigns?${kept}`);
  };
  const matches = all.filter((account) => `${nameOf(account)} ${account.id}`.toLowerCase().includes(wanted.trim().toLowerCase()));
  return (
    <Popover class="account" name="Ad account" label={<>{label}<Icon name="down" /></>}>
      {(close) => {
        const choose = (id: string) => (navigate(to(id)), setWanted(""), close());
        return (
          <>
            {all.length > SEARCHED_FROM && (
              <input
                type="search" aria-label="Find ad accounts" placeholder="Find ad accounts" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)}
                onKeyDown={(event) => void (event.key === "Enter" && !event.isComposing && matches[0] && choose(matches[0].id))}
              />
            )}
            <ul class="menu accounts">
              {matches.map((account) => (
                <li key={account.id}>
                  <button type="button" aria-current={account.id === current.id ? "true" : undefined} onClick={() => choose(account.id)}>
                    {nameOf(account)} <small>{shortId(account.id)} · {account.currency}</small>
                  </button>
                </li>
              ))}
            </ul>
          </>
        );
      }}
    </Popover>
  );
}

const shortId = (id: string) => (id.startsWith("act_") && id.length > 12 ? `act_…${id.slice(-4)}` : id);
