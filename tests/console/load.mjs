// A hundred people in the console at once, on one process: what each page asks of the API is recorded in Chromium, and then asked
// by everybody, page by page, as people go on. Prints how long the answers took by route, and the memory of the process.
//
// node load.mjs ADFLIGHT PACKAGES CHECKERS OUTPUT [MINUTES [PEOPLE [PICTURE]]]

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Console, launch } from "./browser.mjs";
import { System } from "./system.mjs";

const [program, packages, checkers, output, minutes = "10", people = "100", picture] = process.argv.slice(2);
/** Each workspace has ten people, and its own bucket of requests per minute. */
const WORKSPACES = Math.ceil(people / 10);
/** Seconds that somebody looks at a page, at least and at most. */
const [LEAST, MOST] = [5, 20];
const PAGES = ["overview", "{account}/campaigns", "{account}/campaigns?level=adset", "{account}/campaigns?level=ad", "{account}/campaigns/{campaign}", "rules", "connections", "launches"];

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
mkdirSync(output, { recursive: true });
const [system, chromium] = await Promise.all([System.start(program, join(output, "load"), ["--accounts", "10"]), launch(packages, checkers)]);

/** Connects a workspace with all ad accounts, and returns it with what its people need. */
async function workspaceOf(tab, number) {
  await tab.page.goto(`${system.url}/`);
  await tab.page.click("button.person");
  await tab.page.click("text=New workspace");
  await tab.page.fill("dialog[open] input", `Agency ${number}`);
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForSelector("text=Connect your first ad account");
  const workspace = new URL(tab.page.url()).pathname.split("/")[2];
  await tab.page.click("main >> text=Connect Meta");
  await tab.page.click(".head >> text=Connect Meta");
  await tab.page.click("button[value=continue]");
  await tab.page.click("button[name=all]");
  await tab.page.waitForSelector("text=Meta is connected");
  const token = await system.token("owner", workspace);
  const api = (path) => system.api(path, { workspace, token });
  const accounts = (await api("ad-accounts?selected=true")).data.filter(({ name }) => !name.startsWith("Small"));
  for (const { id } of accounts) {
    for (;;) {
      const { entities_synced_at: at, chunks } = await api(`ad-accounts/${id}/sync`);
      if (at && chunks.planned + chunks.running === 0) break;
      await sleep(0.5);
    }
  }
  const campaigns = await Promise.all(accounts.map(async ({ id }) => (await api(`ad-accounts/${id}/campaigns?limit=1`)).data[0].id));
  return { workspace, token, accounts: accounts.map(({ id }, index) => ({ account: id, campaign: campaigns[index] })) };
}

/** Records what each page asks of the API. */
async function recorded(tab, { workspace, accounts: [{ account, campaign }] }) {
  const asked = {};
  const generic = (text) => text?.replaceAll(workspace, "{workspace}").replaceAll(account, "{account}").replaceAll(campaign, "{campaign}");
  let requests = [];
  tab.page.on("request", (request) => {
    const { pathname, search } = new URL(request.url());
    if (!pathname.startsWith("/v1/") || pathname.endsWith("/live/tickets") || pathname.endsWith("/events")) return;
    requests.push({ method: request.method(), path: generic(pathname + search), body: generic(request.postData() ?? undefined) });
  });
  for (const page of PAGES) {
    requests = [];
    await tab.page.goto(`${system.url}/w/${workspace}/${page.replace("{account}", account).replace("{campaign}", campaign)}`);
    await tab.settled();
    await sleep(1);
    asked[page] = requests;
  }
  return asked;
}

const times = new Map();
const failures = new Map();
/** Sends a request of a page, and notes how long its answer took. */
async function send({ method, path, body }, { token, workspace, account, campaign }) {
  const own = (text) => text?.replaceAll("{workspace}", workspace).replaceAll("{account}", account).replaceAll("{campaign}", campaign);
  const route = `${method} ${path.split("?")[0].replace("/v1/workspaces/{workspace}", "")}`;
  const began = performance.now();
  const response = await fetch(system.url + own(path), {
    method, headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "accept-encoding": "gzip" }, ...(body && { body: own(body) }),
  });
  await response.arrayBuffer();
  if (!response.ok) return void failures.set(`${route} ${response.status}`, (failures.get(`${route} ${response.status}`) ?? 0) + 1);
  if (!times.has(route)) times.set(route, []);
  times.get(route).push(performance.now() - began);
}

async function person(home, asked, until) {
  const ticket = await (await fetch(`${system.url}/v1/workspaces/${home.workspace}/live/tickets`, { method: "POST", headers: { authorization: `Bearer ${home.token}` } })).json();
  const socket = new WebSocket(ticket.url);
  while (performance.now() < until) {
    const page = PAGES[Math.floor(Math.random() * PAGES.length)];
    const at = home.accounts[Math.floor(Math.random() * home.accounts.length)];
    await Promise.all(asked[page].map((request) => send(request, { ...home, ...at })));
    await sleep(LEAST + Math.random() * (MOST - LEAST));
  }
  socket.close();
}

const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${system.pid}/status`, "utf8"))[1]) / 1024;

/** Draws the memory over time. */
function drawn(samples) {
  const [width, height, left, below] = [720, 240, 48, 28];
  const most = Math.ceil(Math.max(...samples.map(({ megabytes }) => megabytes)) / 100) * 100;
  const last = samples.at(-1).minutes;
  const x = (minutes) => left + (minutes / last) * (width - left - 8);
  const y = (megabytes) => height - below - (megabytes / most) * (height - below - 12);
  const line = samples.map(({ minutes, megabytes }) => `${x(minutes).toFixed(1)},${y(megabytes).toFixed(1)}`).join(" ");
  const rows = Array.from({ length: 5 }, (_, index) => (most * index) / 4);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11" fill="#555">
<rect width="${width}" height="${height}" fill="#fff"/>
${rows.map((row) => `<line x1="${left}" x2="${width - 8}" y1="${y(row)}" y2="${y(row)}" stroke="#ddd"/><text x="${left - 6}" y="${y(row) + 4}" text-anchor="end">${row}</text>`).join("\n")}
<polyline points="${line}" fill="none" stroke="#1d4ed8" stroke-width="1.5"/>
<text x="${left}" y="${height - 8}">MB of the process over ${last.toFixed(0)} minutes</text>
</svg>
`;
}

try {
  const tab = await Console.open(chromium, system);
  await tab.signIn();
  const homes = [];
  for (let number = 1; number <= WORKSPACES; number += 1) homes.push(await workspaceOf(tab, number));
  const asked = await recorded(tab, homes[0]);
  assert.ok(Object.values(asked).every((requests) => requests.length > 0), "every page asks something");
  await tab.context.close();
  const began = performance.now();
  const until = began + minutes * 60_000;
  const samples = [];
  const watch = setInterval(() => samples.push({ minutes: (performance.now() - began) / 60_000, megabytes: memory() }), 2000);
  await Promise.all(Array.from({ length: Number(people) }, (_, index) => sleep(Math.random() * LEAST).then(() => person(homes[index % WORKSPACES], asked, until))));
  clearInterval(watch);
  console.log(`   ${people} people in ${WORKSPACES} workspaces, ${minutes} minutes, one process\n`);
  console.log(`   ${"".padEnd(66)} requests  p50 ms  p99 ms`);
  const at = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  const row = (name, all) => {
    const sorted = all.sort((a, b) => a - b);
    console.log(`   ${name.padEnd(66)} ${String(sorted.length).padStart(8)} ${at(sorted, 0.5).toFixed(0).padStart(7)} ${at(sorted, 0.99).toFixed(0).padStart(7)}`);
  };
  for (const [route, all] of [...times].sort(([a], [b]) => a.localeCompare(b))) row(route, all);
  row("all", [...times.values()].flat());
  console.log(`\n   memory: ${samples[0].megabytes.toFixed(0)} MB at the start, ${Math.max(...samples.map(({ megabytes }) => megabytes)).toFixed(0)} at most, ${samples.at(-1).megabytes.toFixed(0)} at the end`);
  for (const [what, count] of failures) console.log(`   not answered with success: ${what}: ${count}`);
  if (picture) writeFileSync(picture, drawn(samples));
} finally {
  await chromium.browser.close();
  await system.stop();
}
