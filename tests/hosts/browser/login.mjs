// A front end on another site than the API, in Chromium: it navigates to `start_url`, the person goes through Meta's
// dialog and chooses an ad account, and the browser comes back to the front end with the outcome.
//
// node login.mjs PACKAGES: the folder of node_modules. Standard input is a JSON object: `url` is the API's address as
// browsers know it, `at` where it really listens, `front_end` the origin of the front end (port 0 takes a free one),
// `workspace`, `token`, `ad_account`, and `campaigns`, whether to wait for the account's campaigns.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const from = createRequire(resolve(process.argv[2], "package.json"));
const { default: chromium } = await import(pathToFileURL(from.resolve("@sparticuz/chromium")));
const { chromium: playwright } = from("playwright-core");
const given = JSON.parse(await text(process.stdin));
const api = new URL(given.url);
const isSecure = api.protocol === "https:";

/** The front end: two pages of the same script. The token is in the page, as after a sign-in. */
const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Front end</title>
<button id="connect">Connect Meta</button><output id="outcome"></output><ul id="accounts"></ul><ul id="campaigns"></ul>
<script type="module">
const { workspace, token, ad_account, campaigns } = ${JSON.stringify(given)};
const call = (path, body) => fetch("${api.origin}/v1/workspaces/" + workspace + "/" + path, {
  method: body ? "POST" : "GET",
  headers: { authorization: "Bearer " + token, "content-type": "application/json" },
  body: body && JSON.stringify(body),
}).then((answer) => answer.json());
const list = (id, items) => document.getElementById(id).replaceChildren(...items.map((text) =>
  Object.assign(document.createElement("li"), { textContent: text })));
document.getElementById("connect").onclick = async () => {
  const { start_url } = await call("connections/meta/authorize", { return_url: location.origin + "/back" });
  location.assign(start_url);
};
const outcome = new URLSearchParams(location.search).get("outcome");
if (outcome) {
  document.getElementById("outcome").textContent = outcome;
  const { data } = await call("ad-accounts");
  list("accounts", data.filter((account) => account.selected && account.connection).map((account) => account.id));
  while (campaigns && outcome === "connected") {
    const { data } = await call("ad-accounts/" + ad_account + "/campaigns?limit=5");
    list("campaigns", data.map((campaign) => campaign.name));
    if (data.length > 0) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
</script>`;

/** Headers that the API got with requests of the front end's scripts. */
const fetched = [];

/** Answers for the front end, and passes everything else on to where the API listens. */
function answer(request, response) {
  if (request.headers.host === frontEnd.host) {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(page);
    return;
  }
  if (request.headers["sec-fetch-mode"] === "cors") fetched.push(request.headers["sec-fetch-site"]);
  const to = new URL(given.at);
  const options = { method: request.method, path: to.pathname.replace(/\/$/, "") + request.url, headers: { ...request.headers, host: to.host } };
  const passed = http.request(to, options, (answered) => {
    response.writeHead(answered.statusCode, answered.headers);
    answered.pipe(response);
  });
  passed.on("error", (error) => response.writeHead(502).end(String(error)));
  request.pipe(passed);
}

const frontEnd = new URL(given.front_end);
const server = isSecure
  ? https.createServer(await certificate([frontEnd.hostname, api.hostname]), answer)
  : http.createServer(answer);
server.listen(Number(isSecure ? 0 : frontEnd.port || 0), "127.0.0.1");
await once(server, "listening");
const { port } = server.address();
if (!isSecure) frontEnd.port = port;
assert.notEqual(frontEnd.hostname, api.hostname, "two sites");

/** Returns a certificate for these hosts, which Chromium is told to accept. */
async function certificate(hosts) {
  const altNames = hosts.map((value) => ({ type: 2, value }));
  const made = from("selfsigned").generate(null, { keySize: 2048, extensions: [{ name: "subjectAltName", altNames }] });
  return { key: made.private, cert: made.cert };
}

const rules = isSecure
  ? [`--host-resolver-rules=MAP ${frontEnd.hostname}:443 127.0.0.1:${port}, MAP ${api.hostname}:443 127.0.0.1:${port}`]
  : [];
const browser = await playwright.launch({
  executablePath: await chromium.executablePath(),
  args: [...chromium.args, ...rules],
});
try {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "en-GB" });
  const tab = await context.newPage();
  tab.setDefaultTimeout(30_000);
  const back = `${frontEnd.origin}/back?outcome=`;
  const seen = async (id) => (await tab.textContent(`#${id}`)).trim();

  // First the person changes their mind at Meta.
  await tab.goto(`${frontEnd.origin}/`);
  await tab.click("#connect");
  await tab.click("button[value=cancel]");
  await tab.waitForURL(`${back}cancelled`);
  assert.equal(await seen("outcome"), "cancelled");

  // Then they connect, and choose one ad account.
  await tab.click("#connect");
  await tab.waitForSelector("button[value=continue]");
  const cookies = await context.cookies();
  const name = isSecure ? "__Host-adflight_login" : "adflight_login";
  const cookie = cookies.find((cookie) => cookie.name === name);
  assert.ok(cookie?.httpOnly && cookie.sameSite === "Lax" && cookie.secure === isSecure, JSON.stringify(cookies));
  await tab.click("button[value=continue]");
  await tab.waitForSelector("input[type=checkbox]");
  for (const box of await tab.locator("input[type=checkbox]").all()) {
    await box.setChecked((await box.getAttribute("value")) === given.ad_account);
  }
  await tab.click("text=Sync these accounts");
  await tab.waitForURL(`${back}connected`);
  await tab.waitForSelector("#accounts li");
  assert.equal(await seen("accounts"), given.ad_account);
  if (given.campaigns) await tab.waitForSelector("#campaigns li");
  const campaigns = await tab.locator("#campaigns li").allTextContents();

  // A link to a login from elsewhere asks first.
  const asked = await context.newPage();
  const begun = await tab.evaluate(async ([url, token]) => {
    const answer = await fetch(url, { method: "POST", headers: { authorization: `Bearer ${token}` } });
    return answer.json();
  }, [`${api.origin}/v1/workspaces/${given.workspace}/connections/meta/authorize`, given.token]);
  await asked.goto(begun.start_url);
  await asked.click("text=Go on to Meta");
  await asked.waitForSelector("button[value=continue]");
  if (isSecure) assert.deepEqual([...new Set(fetched)], ["cross-site"]);
  console.log(`   ${frontEnd.origin} logged in at ${api.origin}: cancelled, connected, ${campaigns.length} campaigns listed`);
} catch (error) {
  for (const tab of browser.contexts().flatMap((context) => context.pages())) {
    console.error(new URL(tab.url()).pathname, (await tab.innerText("body")).slice(0, 500));
  }
  throw error;
} finally {
  await browser.close();
  server.close();
}
