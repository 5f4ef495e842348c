// A week of an agency with 40 ad accounts in six currencies and time zones, 6,000 ads, and one account with 30,000 more: each
// thing that has to be done, with the clicks it takes and how long a person waits for what comes of it.
//
// node agency.mjs ADFLIGHT PACKAGES CHECKERS OUTPUT [ADS OF THE LARGE ACCOUNT]

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Console, launch } from "./browser.mjs";
import { System } from "./system.mjs";

const [program, packages, checkers, output, ads = "30000"] = process.argv.slice(2);
mkdirSync(output, { recursive: true });
const [system, chromium] = await Promise.all([System.start(program, join(output, "data"), ["--accounts", "41", "--largest", ads]), launch(packages, checkers)]);
const seconds = (since) => (performance.now() - since) / 1000;
console.log(`   ${"".padEnd(74)} clicks    s`);

let clicks = 0;
/** Does something as a person, counts its clicks, and prints how long it took until it was there. */
async function act(what, work) {
  clicks = 0;
  const began = performance.now();
  const value = await work();
  const slow = seconds(began);
  const mark = clicks > 3 || slow > 2 ? " *" : "";
  console.log(`   ${what.padEnd(74)} ${String(clicks).padStart(6)} ${slow.toFixed(1).padStart(5)}${mark}`);
  return value;
}
const press = async (tab, selector) => (await tab.page.click(selector), (clicks += 1));

async function until(read, test, what) {
  for (let tries = 0; tries < 1800; tries += 1) {
    const value = await read();
    if (test(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`${what} did not come`);
}
const rows = "table.grid tbody tr[data-key]";
const simulator = (path) => fetch(`${system.meta}/simulator/${path}`, { method: "POST" }).then((response) => assert.equal(response.status, 200));

const opened = [];
const open = async () => {
  const tab = await Console.open(chromium, system);
  opened.push(tab);
  return tab;
};

try {
  const tab = await open();
  await tab.signIn();

  await act("Monday: a workspace for the agency", async () => {
    await press(tab, "button.person");
    await press(tab, "text=New workspace");
    await tab.page.fill("dialog[open] input", "Northstar Media");
    await tab.page.keyboard.press("Enter");
    await tab.page.waitForSelector("text=Connect your first ad account");
  });
  const workspace = new URL(tab.page.url()).pathname.split("/")[2];
  await act("connect Meta, and sync all ad accounts", async () => {
    await press(tab, "main >> text=Connect Meta");
    await press(tab, ".head >> text=Connect Meta");
    await press(tab, "button[value=continue]");
    await press(tab, "button[name=all]");
    await tab.page.waitForSelector("text=Meta is connected");
  });
  await act("... until the first account has all of its numbers", async () => {
    await tab.page.waitForSelector(".sync small:has-text('Synced')", { timeout: 600_000 });
  });
  const token = await system.token("owner", workspace);
  const api = (path, options) => system.api(path, { workspace, token, ...options });
  const accounts = (await api("ad-accounts?selected=true&limit=500")).data;
  const client = accounts.find(({ name }) => name === "Alder & Finch DE");
  const large = accounts.find(({ name }) => name === "Alder & Finch JP");
  const measured = ({ id }) => until(() => api(`ad-accounts/${id}/sync`), ({ entities_synced_at: at, chunks }) => at && chunks.planned + chunks.running === 0, `the numbers of ${id}`);
  await act(`... until all ${accounts.length} have but the one with ${ads} ads`, async () => {
    for (const account of accounts) if (account !== large) await measured(account);
  });
  await act("... until that has, too", () => measured(large));

  await act("Monday: the overview of all accounts in euros", async () => {
    await tab.page.goto(`${system.url}/w/${workspace}/overview`);
    await tab.page.waitForSelector("[data-measure=spend] small");
    await tab.settled();
  });
  await act("... of those in yen", async () => {
    await press(tab, ".head-actions button:has-text('ad account')");
    await press(tab, ".segments >> text=JPY");
    await tab.page.waitForFunction(() => document.querySelector("[data-measure=spend] .value")?.textContent.includes("JPY"));
    await tab.page.keyboard.press("Escape");
  });
  await act("a client's report: last week, compared, as CSV", async () => {
    await tab.page.goto(`${system.url}/w/${workspace}/${client.id}/campaigns`);
    await tab.page.waitForSelector(rows);
    await press(tab, ".range-button");
    await press(tab, "text=Last week");
    await tab.settled();
    const [download] = await Promise.all([tab.page.waitForEvent("download"), press(tab, "[aria-label='Download all as CSV']")]);
    assert.match(readFileSync(await download.path(), "utf8"), /Spend/i);
  });
  await act("... printed from the overview", async () => {
    await tab.page.goto(`${system.url}/w/${workspace}/overview?accounts=${client.id}&range=last_week`);
    await tab.page.waitForSelector("[data-measure=spend] small");
    await tab.settled();
    assert.ok((await tab.page.pdf({ path: join(output, "report.pdf"), printBackground: true })).length > 10_000);
  });
  await act(`the campaigns of the account with ${ads} ads`, async () => {
    await tab.page.goto(`${system.url}/w/${workspace}/${large.id}/campaigns`);
    await tab.page.waitForSelector(rows);
  });
  await act("... its ads", async () => {
    await press(tab, "[aria-label=Level] >> text=Ads");
    await tab.page.waitForSelector(`${rows}`);
    await tab.page.waitForFunction(() => document.querySelector("table.grid thead")?.textContent.startsWith("Ad"));
  });
  await act("... found by a piece of a name", async () => {
    await tab.page.fill("[data-find]", "| 001");
    await until(() => tab.page.locator(rows).count(), (count) => count === 1, "the found ads");
  });

  await act("Tuesday: a rule, and what it would say", async () => {
    await tab.page.goto(`${system.url}/w/${workspace}/${client.id}/campaigns`);
    await tab.go("Rules");
    await press(tab, "text=New rule");
    await tab.page.fill("dialog[open] label:has-text('Name') input", "Spend without a click");
    await tab.page.selectOption("dialog[open] label:has-text('Metric') select", "ctr");
    await tab.page.selectOption("dialog[open] label:has-text('Condition') select", "below");
    await tab.page.fill("dialog[open] label:has-text('Value') input", "0.5");
    await press(tab, "dialog[open] >> text=Add the rule");
    await tab.page.waitForSelector("ul.rules >> text=Spend without a click");
  });

  const ad = (await api(`ad-accounts/${client.id}/ads?limit=1&effective_status=ACTIVE`)).data[0];
  await tab.page.goto(`${system.url}/w/${workspace}/${client.id}/campaigns?level=ad`);
  await tab.page.waitForSelector(rows);
  await tab.settled();
  await act("Wednesday: Meta rejects an ad; it shows by itself", async () => {
    await simulator(`review?ad=${ad.id}&reason=${encodeURIComponent("Personal attributes are not allowed.")}`);
    await tab.page.waitForSelector("text=/With issues\\s*[1-9]/", { timeout: 120_000 });
  });
  await act("... why", async () => {
    await press(tab, "text=/With issues\\s*[1-9]/");
    await press(tab, `${rows} .name a`);
    await tab.page.waitForSelector("text=Personal attributes are not allowed.");
  });

  const campaign = (await api(`ad-accounts/${client.id}/campaigns?limit=1&effective_status=ACTIVE&sort=spend`)).data[0];
  for (const country of ["US", "CA", "AU"]) {
    await tab.page.goto(`${system.url}/w/${workspace}/${client.id}/campaigns/${campaign.id}`);
    await tab.page.waitForSelector("text=Duplicate …");
    await act(`Thursday: a campaign copied for ${country}`, async () => {
      await press(tab, "text=Duplicate …");
      await tab.page.fill(".rename input", `${campaign.name} ${country}`);
      await press(tab, "button[type=submit]:has-text('Duplicate')");
      await tab.page.waitForSelector("h2:has-text('Launched, paused')", { timeout: 120_000 });
    });
    await act("... its ad sets reach that country alone", async () => {
      await press(tab, "text=Open the campaign");
      await press(tab, "text=View ad sets");
      await tab.page.waitForSelector(rows);
      await tab.settled();
      await press(tab, "table.grid thead input[type=checkbox]");
      await press(tab, ".bulk >> text=More");
      await tab.page.selectOption("dialog[open] select", { label: "Countries" });
      await tab.page.fill("dialog[open] input", country);
      await tab.page.waitForSelector("dialog[open] button[type=submit]:not([disabled])");
      await press(tab, "dialog[open] button[type=submit]");
      await tab.page.waitForSelector(".toast:has-text('Countries changed')", { timeout: 120_000 });
    });
  }

  await act("Friday evening: all budgets of an account cut by 30 percent", async () => {
    await tab.page.goto(`${system.url}/w/${workspace}/${client.id}/campaigns`);
    await tab.page.waitForSelector(rows);
    await tab.settled();
    await press(tab, "table.grid thead input[type=checkbox]");
    await press(tab, ".bulk >> text=Budget");
    await tab.page.fill("dialog[open] input", "-30");
    await tab.page.waitForSelector("dialog[open] button[type=submit]:not([disabled])");
    await press(tab, "dialog[open] button[type=submit]");
    await tab.page.waitForSelector(".toast:has-text('Budgets changed')", { timeout: 120_000 });
  });
  await act("... taken back", async () => {
    await press(tab, ".toast button:has-text('Undo')");
    await tab.page.waitForSelector(".toast:has-text('Undone')", { timeout: 120_000 });
  });

  await act("Saturday: the token dies; it is said, with what to do", async () => {
    await tab.go("Connections");
    await simulator("change-password");
    await api(`ad-accounts/${client.id}/sync`, { method: "POST" });
    await tab.page.waitForSelector("text=Connect again", { timeout: 120_000 });
  });
  await act("... connected again", async () => {
    await press(tab, ".card >> text=Connect again");
    await press(tab, "button[value=continue]");
    await press(tab, "text=Sync these accounts");
    await tab.page.waitForSelector(".card:has-text('Connected')");
  });

  await act("Sunday: somebody comes", async () => {
    await tab.go("Members");
    await tab.page.fill("input[type=email]", "editor@example.com");
    await press(tab, "button:has-text('Invite')");
    await tab.page.waitForSelector(".toast:has-text('is invited')");
  });
  const other = await open();
  await other.signIn("editor", "/");
  await act("... accepts", async () => {
    await press(other, "button:has-text('Accept')");
    await other.page.waitForSelector("[data-measure=spend] small");
  });
  await act("... and leaves: what is open ends", async () => {
    await tab.page.waitForSelector("tr:has-text('editor@example.com')");
    await press(tab, "tr:has-text('editor@example.com') >> text=Remove");
    other.expected.add(403).add(404).add(401);
    await press(tab, "dialog[open] .danger");
    await tab.page.waitForSelector(".toast:has-text('is not a member any more')");
    await other.page.reload();
    await other.page.waitForSelector("text=/no access|not a member|workspace/i");
  });
  for (const one of opened) assert.deepEqual(one.problems, [], "what should not happen on a page");
} catch (error) {
  for (const [index, one] of opened.entries()) {
    await one.page.screenshot({ path: join(output, `failed-${index}.png`), fullPage: true }).catch(() => {});
    console.error(`   at ${one.page.url()}: ${one.problems.slice(0, 5).join("; ")}`);
  }
  throw error;
} finally {
  await chromium.browser.close();
  await system.stop();
}
