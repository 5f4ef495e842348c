// The console: sign-in, the shell, and the page of the address.

import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { api, answer } from "./api";
import { offline } from "./network";
import { Login } from "./pages/login";
import { Banner, Empty, Failure, Skeleton } from "./parts/states";
import { Shell } from "./parts/shell";
import { Invitations, NewWorkspace } from "./parts/workspaces";
import { SessionEnded } from "./parts/session-ended";
import { Toasts } from "./parts/toast";
import { lazy } from "./lazy";
import { useResource } from "./resource";
import { navigate, path } from "./route";
import { session } from "./session";
import { inWorkspace, isAccountId, loadAdAccounts, loaded, workspace, workspaces } from "./store";

const page = (load: () => Promise<{ default: ComponentType }>) => lazy(load, <Skeleton lines={6} height={48} />);

const pages = {
  overview: page(() => import("./pages/overview")),
  campaigns: page(() => import("./pages/campaigns")),
  detail: page(() => import("./pages/detail")),
  launch: page(() => import("./pages/launch")),
  launches: page(() => import("./pages/launches")),
  rules: page(() => import("./pages/rules")),
  connections: page(() => import("./pages/connections")),
  members: page(() => import("./pages/members")),
  audit: page(() => import("./pages/audit")),
  settings: page(() => import("./pages/settings")),
};

export function App() {
  const state = session.value;
  if (state.kind === "starting") return null;
  if (state.kind === "signed-out") return <Login reason={state.reason} />;
  return (
    <>
      <SignedIn />
      {state.kind === "ended" && <SessionEnded problem={state.problem} />}
      <Toasts />
    </>
  );
}

function SignedIn() {
  const found = useResource("workspaces", (signal) => answer(api.GET("/v1/workspaces", { signal })), { shows: ["members", "audit"] });
  useEffect(() => void (workspaces.value = found.data?.data), [found.data]);
  const list = workspaces.value;
  const [root, wanted] = path.value;
  useEffect(() => {
    if (list && root !== "w" && list[0]) navigate(`/w/${list[0].workspace}/overview`, { replace: true });
  }, [list, root]);
  if (!list) {
    if (offline.value) return <main class="alone"><Banner tone="warning">Adflight cannot be reached. It is tried again by itself.</Banner></main>;
    return found.error ? <main class="alone"><Failure what="Your workspaces could not be read." error={found.error} retry={found.reload} /></main> : null;
  }
  if (list.length === 0) return <main class="alone"><h1>Welcome</h1><Invitations /><NewWorkspace /></main>;
  if (root !== "w") return null;
  if (!workspace.value) {
    return (
      <main class="alone">
        <Empty title="This workspace is not one of yours" action={<a class="button primary" href="/">Go to your workspaces</a>}>
          There is no workspace “{wanted}” that you are a member of. An owner of it can invite you.
        </Empty>
      </main>
    );
  }
  return <Workspace key={workspace.value.workspace} id={workspace.value.workspace} />;
}

/** Milliseconds after which a part of the page that did not load is loaded again. */
const RELOAD_MS = 10_000;

function Workspace({ id }: { id: string }) {
  const accounts = useResource(`ad-accounts:${id}`, (signal) => loadAdAccounts(id, signal), { every: 60_000, keep: false, shows: ["ad_account", "connections"] });
  useEffect(() => {
    const leave = new AbortController();
    // After the page: what it shows first does not wait for what changes later.
    const since = performance.now();
    const listen = (): Promise<void> => import("./live").then(
      ({ follow }) => follow(id, since, leave.signal),
      () => new Promise<void>((resolve) => setTimeout(resolve, RELOAD_MS)).then(() => (leave.signal.aborted ? undefined : listen())),
    );
    void listen();
    return () => leave.abort();
  }, [id]);
  useEffect(() => void (loaded.value = { of: id, accounts }), [accounts.data, accounts.error, accounts.loading]);
  const page = pageOf(path.value);
  const Page = page && pages[page];
  return (
    <Shell page={page === "detail" ? "campaigns" : page === "launch" ? "launches" : page}>
      {offline.value && <Banner tone="warning">Adflight cannot be reached. What you see is the last that was read; it goes on by itself.</Banner>}
      {accounts.error && !offline.value && !accounts.data && <Failure what="The ad accounts could not be read." error={accounts.error} retry={accounts.reload} />}
      {Page
        ? <Page />
        : <Empty title="There is no such page" action={<a class="button primary" href={inWorkspace("overview")}>Overview</a>}>Check the link.</Empty>}
    </Shell>
  );
}

/** Returns the page that an address names. Pages of an ad account have its id before their name. */
function pageOf([, , first = "overview", second, third]: string[]): keyof typeof pages | undefined {
  const ofAccount = isAccountId(first);
  const name = !ofAccount ? first : second === "campaigns" && third ? "detail" : second;
  return name !== undefined && Object.hasOwn(pages, name) ? (name as keyof typeof pages) : undefined;
}

