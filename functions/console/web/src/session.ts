// Sign-in at the deployment's OpenID Connect issuer: authorization code with PKCE, in a public client. Tokens live in the
// memory of the page alone. What a sign-in needs to come back is in sessionStorage under its state, and is removed at its
// first use.

import { signal } from "@preact/signals";
import * as oauth from "oauth4webapi";
import { offline } from "./network";
import { navigate } from "./route";
import { settings } from "./settings";

export interface Person {
  subject: string;
  name: string;
  email: string | undefined;
}

export type SessionState =
  | { kind: "starting" }
  | { kind: "signed-out"; reason?: string }
  | { kind: "signed-in"; person: Person }
  /** It ended while somebody works: what is on the page stays until they have signed in again. */
  | { kind: "ended"; person: Person; problem?: string };

export const session = signal<SessionState>({ kind: "starting" });

/** Milliseconds by which the system's clock is ahead of the browser's, which may be wrong, or of another day on a laptop. */
let ahead = 0;

/** Returns the system's present time. */
export const systemNow = (): Date => new Date(Date.now() + ahead);

const CALLBACK = "/login/callback";
const RENEW_EARLIER_MS = 30_000;
const CHANNEL = "adflight-sign-in";

interface Pending {
  verifier: string;
  nonce: string;
  /** The address to go back to. */
  back: string;
  silent: boolean;
}

interface Tokens {
  access: string;
  /** Says at the end to the issuer whose session it was. */
  id: string | undefined;
  refresh: string | undefined;
  expiresAt: number;
}

let tokens: Tokens | undefined;
let renewal: Promise<boolean> | undefined;
let discovered: Promise<oauth.AuthorizationServer> | undefined;

const issuerUrl = new URL(settings.issuer || location.origin);
/** Plain http is for the laptop alone, where nothing leaves the machine. */
const loopback = ["127.0.0.1", "localhost", "[::1]"].includes(issuerUrl.hostname);
const options = { [oauth.allowInsecureRequests]: loopback };
const client = (): oauth.Client => ({
  client_id: settings.client_id,
  [oauth.clockSkew]: Math.round(ahead / 1000),
  [oauth.clockTolerance]: 60,
});
const redirectUri = location.origin + CALLBACK;
const resource: { resource?: string } = URL.canParse(settings.audience) ? { resource: settings.audience } : {};

/** Sets the clock by an answer. Whoever reads it allows for the seconds of an answer on its way. */
export function setClock(response: Response): void {
  const date = Date.parse(response.headers.get("date") ?? "");
  const difference = date - Date.now();
  if (!Number.isNaN(date)) ahead = Math.abs(difference) > 30_000 ? difference : 0;
}

function server(): Promise<oauth.AuthorizationServer> {
  discovered ??= oauth.discoveryRequest(issuerUrl, options).then((response) => {
    setClock(response);
    return oauth.processDiscoveryResponse(issuerUrl, response);
  });
  discovered.catch(() => (discovered = undefined));
  return discovered;
}

const key = (state: string) => `adflight-sign-in:${state}`;

/** Returns the address of a sign-in, and remembers what its answer needs. */
async function authorizationUrl(back: string, silent: boolean, store: Storage | Map<string, string>): Promise<URL> {
  const { authorization_endpoint } = await server();
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const nonce = oauth.generateRandomNonce();
  const pending: Pending = { verifier, nonce, back, silent };
  if (store instanceof Map) store.set(key(state), JSON.stringify(pending));
  else store.setItem(key(state), JSON.stringify(pending));
  const url = new URL(authorization_endpoint!);
  const parameters = {
    client_id: settings.client_id,
    redirect_uri: redirectUri,
    response_type: "code",
    scope: settings.scope,
    // Providers differ in the name of what an access token is for. A resource must be a URI (RFC 8707).
    ...resource,
    audience: settings.audience,
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...(silent && { prompt: "none" }),
  };
  for (const [name, value] of Object.entries(parameters)) if (value) url.searchParams.set(name, value);
  return url;
}

/** Leaves the page for the issuer's. The person comes back to the same address. */
export async function signIn(silent = false): Promise<void> {
  const back = location.pathname.startsWith("/login") ? (history.state?.back ?? "/") : location.href.slice(location.origin.length);
  try {
    location.replace(await authorizationUrl(back, silent, sessionStorage));
  } catch (error) {
    session.value = { kind: "signed-out", reason: `The sign-in cannot be reached (${String(error)}). Try again in a moment.` };
  }
}

/** Signs in again in a window of its own, so that nothing on this page is lost. */
export async function signInAgain(): Promise<void> {
  // It opens at once: later a browser would take it for an advertisement.
  const popup = window.open("about:blank", "_blank", "popup,width=480,height=640");
  try {
    if (!popup) return location.assign(await authorizationUrl(location.href.slice(location.origin.length), false, sessionStorage));
    const pending = new Map<string, string>();
    popup.location.replace(await authorizationUrl("/", false, pending));
    const channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = ({ data }: MessageEvent<string>) => {
      const answer = new URL(data, location.origin);
      const stored = pending.get(key(answer.searchParams.get("state") ?? ""));
      if (!stored) return;
      pending.clear();
      exchange(answer, JSON.parse(stored) as Pending)
        .then(() => channel.postMessage("done"), fail)
        .finally(() => channel.close());
    };
  } catch (error) {
    popup?.close();
    fail(error);
  }
}

/** Says in the dialog of an ended session why signing in again did not succeed. */
function fail(error: unknown): void {
  const before = session.value;
  if (before.kind === "ended") session.value = { ...before, problem: `The sign-in did not succeed: ${String(error)}` };
}

/** Every page of this browser hears when one of them signs out. */
const signedOut = new BroadcastChannel("adflight-sign-out");
signedOut.onmessage = () => {
  if (!tokens) return;
  tokens = undefined;
  session.value = { kind: "signed-out", reason: "You signed out in another window." };
};

/** Ends the session in every page of this browser and at the issuer. */
export async function signOut(): Promise<void> {
  const hint = tokens?.id;
  tokens = undefined;
  signedOut.postMessage("signed out");
  let endpoint: string | undefined;
  try {
    endpoint = (await server()).end_session_endpoint;
  } catch {
    session.value = { kind: "signed-out", reason: "You are signed out of this page. The sign-in could not be reached, and may still know this browser." };
    return;
  }
  const url = new URL(endpoint ?? `${location.origin}/login`);
  url.searchParams.set("client_id", settings.client_id);
  // Without it some issuers ask, and some refuse.
  if (hint) url.searchParams.set("id_token_hint", hint);
  url.searchParams.set("post_logout_redirect_uri", `${location.origin}/login`);
  location.assign(url);
}

/** Begins a session when the page opens: completes a sign-in that comes back, or begins one. */
export async function startSession(): Promise<void> {
  if (location.pathname !== CALLBACK) {
    if (location.pathname === "/login") session.value = { kind: "signed-out" };
    else await signIn(true);
    return;
  }
  const answer = new URL(location.href);
  const state = key(answer.searchParams.get("state") ?? "");
  const stored = sessionStorage.getItem(state);
  sessionStorage.removeItem(state);
  if (!stored) return forwardAnswer(answer);
  const pending = JSON.parse(stored) as Pending;
  history.replaceState({ back: pending.back }, "", "/login");
  const error = answer.searchParams.get("error");
  if (error) {
    session.value = { kind: "signed-out", ...(!pending.silent && { reason: describe(error, answer) }) };
    return;
  }
  try {
    await exchange(answer, pending);
    navigate(pending.back, { replace: true });
  } catch (error) {
    session.value = { kind: "signed-out", reason: `The sign-in did not succeed: ${String(error)}` };
  }
}

const describe = (error: string, answer: URL) =>
  `The sign-in did not succeed: ${answer.searchParams.get("error_description") ?? error}.`;

/** An answer that this window did not ask for may be another one's, which signs in again; else it is a replayed one. */
async function forwardAnswer(answer: URL): Promise<void> {
  history.replaceState(null, "", "/login");
  const channel = new BroadcastChannel(CHANNEL);
  const taken = new Promise<boolean>((resolve) => {
    channel.onmessage = () => resolve(true);
    setTimeout(() => resolve(false), 1500);
  });
  channel.postMessage(answer.href);
  if (await taken) {
    window.close();
    session.value = { kind: "signed-out", reason: "You are signed in again in the window that you came from. This one can be closed." };
  } else {
    session.value = { kind: "signed-out", reason: "This sign-in was used already. Sign in again." };
  }
}

async function exchange(answer: URL, pending: Pending): Promise<void> {
  const issuer = await server();
  const parameters = oauth.validateAuthResponse(issuer, client(), answer, answer.searchParams.get("state") ?? "");
  const response = await oauth.authorizationCodeGrantRequest(
    issuer, client(), oauth.None(), parameters, redirectUri, pending.verifier, { ...options, additionalParameters: resource },
  );
  const result = await oauth.processAuthorizationCodeResponse(issuer, client(), response, {
    expectedNonce: pending.nonce,
    requireIdToken: true,
  });
  const claims = oauth.getValidatedIdTokenClaims(result)!;
  const text = (name: string) => (typeof claims[name] === "string" ? (claims[name] as string) : undefined);
  const person = { subject: claims.sub, name: text("name") ?? text("email") ?? claims.sub, email: text("email") };
  const before = session.value;
  // What is on the page, and what waits to be sent, is the other person's.
  if (before.kind === "ended" && before.person.subject !== person.subject) return location.reload();
  storeTokens(result);
  session.value = { kind: "signed-in", person };
}

function storeTokens({ access_token, refresh_token, expires_in, id_token }: oauth.TokenEndpointResponse): void {
  tokens = { access: access_token, id: id_token ?? tokens?.id, refresh: refresh_token, expiresAt: performance.now() + (expires_in ?? 300) * 1000 };
}

/** Renews the session once for all who ask at the same time. Returns whether there is one. */
function renew(): Promise<boolean> {
  renewal ??= (async () => {
    if (!tokens?.refresh) return false;
    try {
      const issuer = await server();
      const response = await oauth.refreshTokenGrantRequest(issuer, client(), oauth.None(), tokens.refresh, { ...options, additionalParameters: resource });
      const result = await oauth.processRefreshTokenResponse(issuer, client(), response);
      storeTokens({ refresh_token: tokens.refresh, ...result });
      return true;
    } catch (error) {
      // Only the issuer's word ends a session: out of reach, it may be back in a moment.
      if (!(error instanceof oauth.ResponseBodyError)) throw error;
      tokens = undefined;
      offline.value = false;
      return false;
    }
  })().finally(() => (renewal = undefined));
  return renewal;
}

/** Returns a token for the API; waits until the person has signed in again where the session has ended. */
export async function accessToken(refused?: string): Promise<string> {
  for (;;) {
    const isFresh = tokens && tokens.access !== refused && tokens.expiresAt - RENEW_EARLIER_MS > performance.now();
    if (isFresh) return tokens!.access;
    // However short its life is, a new one is good for one request.
    if (await renew()) return tokens!.access;
    const before = session.value;
    if (before.kind === "signed-in") session.value = { kind: "ended", person: before.person };
    await new Promise<void>((resolve) => {
      const stop = session.subscribe((state) => {
        if (state.kind === "signed-in") queueMicrotask(() => (stop(), resolve()));
      });
    });
    refused = undefined;
  }
}
