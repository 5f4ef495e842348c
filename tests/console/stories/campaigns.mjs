// The table: rows as the API has them, sorted, filtered, opened, and the same behind a copied link.

import assert from "node:assert/strict";
import { join } from "node:path";

const english = (digits) => new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export async function every_row_is_the_apis({ open, system }) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Campaigns");
  await tab.settled();
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const { days } = await tab.chart("campaigns");
  const list = await system.api(`ad-accounts/${account.id}/campaigns?since=${days[0]}&until=${days.at(-1)}&limit=500`);
  const known = list.data.map(({ id, name, measures }) => [id, name, english(2).format(measures.spend)]);
  const seen = new Map();
  const scroller = ".grid-scroll";
  // Only visible rows are on the page: scroll through all of them.
  for (let top = 0; seen.size < known.length && top < 40_000; top += 300) {
    await tab.page.$eval(scroller, (element, top) => (element.scrollTop = top), top);
    await tab.page.waitForTimeout(30);
    for (const { id, name, cells } of await tab.rows()) seen.set(id, [id, name, cells.spend]);
  }
  assert.deepEqual([...seen.values()], known, "each row with its name and spend, by spend");

  await tab.page.click("button:has-text('ROAS')");
  await tab.page.click("[aria-label=State] >> text=Active");
  await tab.page.fill("[data-find]", "Sales");
  await tab.settled();
  const shown = await tab.rows();
  const wanted = list.data
    .filter(({ name, effective_status }) => effective_status === "ACTIVE" && name.toLowerCase().includes("sales"))
    .sort((a, b) => Number(b.measures.roas ?? -1) - Number(a.measures.roas ?? -1));
  assert.deepEqual(shown.map(({ id }) => id), wanted.slice(0, shown.length).map(({ id }) => id));
  const filtered = await system.api(`ad-accounts/${account.id}/campaigns?since=${days[0]}&until=${days.at(-1)}&limit=1&q=Sales&effective_status=ACTIVE`);
  await tab.page.waitForFunction((text) => document.querySelector("tfoot td[data-column=spend] span")?.textContent === text, english(2).format(filtered.totals.measures.spend));

  // The address is the view.
  const copied = await open();
  await copied.signIn("viewer", tab.page.url().slice(system.url.length));
  await copied.page.waitForSelector("table.grid tbody tr[data-key]");
  await copied.settled();
  assert.deepEqual(await copied.rows(), shown);
}

export async function ads_have_their_pictures_and_are_seen_as_people_see_them({ open }) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Campaigns");
  await tab.page.click("[aria-label=Level] >> text=Ads");
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
  // Each row that is seen has one, of the size of Meta's.
  await tab.page.waitForFunction(() => {
    const rows = [...document.querySelectorAll("table.grid tbody tr[data-key]")];
    return rows.length > 10 && rows.every((row) => row.querySelector(".thumbnail img")?.naturalWidth === 64);
  });
  const [ad] = await tab.rows();
  await tab.page.click(`tr[data-key="${ad.id}"] .name a`);
  await tab.page.waitForSelector(".facts .thumbnail img");
  const preview = tab.page.locator("[aria-label=Preview]");
  await preview.locator("button").click();
  await preview.locator("iframe").contentFrame().locator("text=MOBILE_FEED_STANDARD").waitFor();
}

export async function columns_are_chosen_and_travel_with_the_link({ open, system, screenshots }) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Campaigns");
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
  const columns = ({ page }) => page.$$eval("thead th.number button", (heads) => heads.map(({ textContent }) => textContent));
  await tab.page.selectOption("[aria-label=Columns]", "choose");
  await tab.page.click("dialog .chips button:text-is('CPM')");
  await tab.page.click("dialog [aria-label='Hide Revenue']");
  await tab.page.click("dialog [aria-label='Move CPM to the left']");
  await tab.check("the choice of columns");
  await tab.page.screenshot({ path: join(screenshots, "columns.png") });
  await tab.page.click("dialog button[type=submit]");
  await tab.settled();
  const chosen = ["Spend", "Purchases", "ROAS", "Cost per purchase", "CPM", "CTR (all)"];
  assert.deepEqual((await columns(tab)).filter((label) => label !== "Daily budget"), chosen);
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const { days } = await tab.chart("campaigns");
  const [first] = await tab.rows();
  const list = await system.api(`ad-accounts/${account.id}/campaigns?since=${days[0]}&until=${days.at(-1)}&ids=${first.id}`);
  assert.equal(first.cells.cpm, english(2).format(list.data[0].measures.cpm));
  // Another person sees the same by the link, and this one has it among the sets.
  const copied = await open();
  await copied.signIn("viewer", tab.page.url().slice(system.url.length));
  await copied.page.waitForSelector("table.grid tbody tr[data-key]");
  assert.deepEqual((await columns(copied)).filter((label) => label !== "Daily budget"), chosen);
  await tab.page.selectOption("[aria-label=Columns]", "delivery");
  await tab.page.selectOption("[aria-label=Columns]", { label: "Own columns" });
  await tab.page.waitForFunction((wanted) => document.querySelector("thead")?.textContent.includes(wanted), "CPM");
}

export async function a_custom_conversion_is_a_column_under_its_name({ open, system }) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Campaigns");
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
  await tab.page.selectOption("[aria-label=Columns]", "choose");
  await tab.page.click("dialog .chips button:text-is('Booked a demo')");
  await tab.page.click("dialog button[type=submit]");
  await tab.page.fill("[data-find]", "Leads |");
  await tab.settled();
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const [{ measure }] = (await system.api(`ad-accounts/${account.id}/custom-conversions`)).data;
  const { days } = await tab.chart("campaigns");
  const list = await system.api(`ad-accounts/${account.id}/campaigns?since=${days[0]}&until=${days.at(-1)}&q=Leads&fields=${measure}`);
  const known = new Map(list.data.map(({ id, measures }) => [id, measures[measure] === undefined ? "—" : english(0).format(measures[measure])]));
  const rows = await tab.rows();
  assert.ok(rows.some(({ cells }) => /\d/.test(cells[measure])), "some were booked");
  for (const { id, cells } of rows) assert.equal(cells[measure], known.get(id));
  // The name is there again where only the link is known.
  await tab.page.reload();
  await tab.page.waitForSelector("thead button:text-is('Booked a demo')");
}

export async function people_are_counted_by_meta_when_somebody_asks({ open, system }) {
  const viewer = await open();
  await viewer.signIn("viewer", "/w/demo/campaigns?cols=delivery&range=last_14d");
  await viewer.page.waitForSelector(".note.reach");
  assert.equal(await viewer.page.locator(".note.reach button").count(), 0);
  const tab = await open();
  await tab.signIn("editor", "/w/demo/campaigns?cols=delivery&range=last_14d");
  await tab.page.click(".note.reach button");
  // It appears by itself, for whoever looks.
  for (const { page } of [tab, viewer]) {
    await page.waitForFunction(() => [...document.querySelectorAll("td[data-column=reach] span")].some(({ textContent }) => /\d/.test(textContent)));
    await page.waitForSelector(".note.reach", { state: "detached" });
  }
  const { days } = await tab.chart("campaigns");
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const list = await system.api(`ad-accounts/${account.id}/campaigns?since=${days[0]}&until=${days.at(-1)}&fields=spend,reach,frequency&limit=500`);
  const known = new Map(list.data.map(({ id, measures }) => [id, [english(0).format(measures.reach), measures.frequency ? english(2).format(measures.frequency) : "—"]]));
  for (const { id, cells } of await tab.rows()) assert.deepEqual([cells.reach, cells.frequency], known.get(id));
}

export async function a_row_opens_into_what_is_below_it({ open, system }) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Campaigns");
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
  const [campaign] = await tab.rows();
  await tab.page.click(`tr[data-key="${campaign.id}"] .twist`);
  await tab.page.waitForSelector(".depth-1");
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const { data } = await system.api(`ad-accounts/${account.id}/adsets?campaign_id=${campaign.id}`);
  const ids = (await tab.rows()).map(({ id }) => id);
  assert.deepEqual(ids.slice(1, 1 + data.length), data.map(({ id }) => id));
  await tab.page.click(`tr[data-key="${data[0].id}"] .twist`);
  await tab.page.waitForSelector(".depth-2");

  // Its page has its own numbers, and says what is below.
  await tab.page.click(`tr[data-key="${campaign.id}"] .name a`);
  await tab.page.waitForSelector(`h1:text-is("${campaign.name}")`);
  await tab.settled();
  const spend = await tab.page.textContent("[data-measure=spend] .value");
  assert.ok(spend.startsWith(campaign.cells.spend), `${spend} is ${campaign.cells.spend}`);
  await tab.page.goBack();
  await tab.page.waitForSelector(".depth-2");
}
