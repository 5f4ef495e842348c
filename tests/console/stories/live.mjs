// What changes elsewhere shows by itself, whatever becomes of the socket.

import assert from "node:assert/strict";

/** Times at which a page asks the API for this. */
function reads(tab, path) {
  const seen = [];
  tab.page.on("request", (request) => {
    if (request.method() === "GET" && new URL(request.url()).pathname.endsWith(path)) seen.push(performance.now());
  });
  return seen;
}

const arrives = (tab, how) => tab.page.waitForSelector(`.arrival[data-live=${how}]`);

/** A rule that tells about every campaign with spend. */
const rule = (name) => ({
  name, level: "campaign", action: { type: "notify" }, guard: { min_impressions: 1 },
  when: { measure: "spend", window: "last_7_days", operator: "above", value: "0" },
});

const add = async (system, name) => (await system.api("rules", { method: "POST", body: rule(name) })).id;
const remove = (system, id) => system.api(`rules/${id}`, { method: "DELETE" });

export async function what_others_change_shows_at_once({ open, system }) {
  const tab = await open();
  await tab.signIn();
  await arrives(tab, "live");
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const [campaign] = (await system.api(`ad-accounts/${account.id}/campaigns?limit=1`)).data;
  await tab.go("Campaigns");
  await tab.settled();
  const renamed = (name) => system.api(`ad-accounts/${account.id}/campaigns/${campaign.id}`, { method: "PATCH", body: { name } });
  await renamed("Renamed elsewhere");
  await tab.page.waitForSelector("tr[data-key] >> text=Renamed elsewhere");
  await renamed(campaign.name);

  // A colleague adds a rule, and the next sync lets it decide.
  await tab.go("Rules");
  const id = await add(system, "Added elsewhere");
  await tab.page.click("ul.rules >> text=Added elsewhere");
  assert.equal(await tab.page.locator("[data-decision]").count(), 0);
  await system.api(`ad-accounts/${account.id}/sync`, { method: "POST" });
  await tab.page.waitForSelector("[data-decision]");
  await remove(system, id);
}

export async function nothing_is_missed_when_sockets_break({ open, system }) {
  const tab = await open();
  // Of what the hub says each third is lost, and it hangs up after four words.
  let opened;
  const again = new Promise((resolve) => (opened = resolve));
  let sockets = 0;
  await tab.page.routeWebSocket(/\/live/, (socket) => {
    const hub = socket.connectToServer();
    let words = 0;
    sockets += 1;
    if (sockets > 1) opened();
    hub.onMessage((message) => {
      words += 1;
      if (words % 3 !== 0) socket.send(message);
      if (words === 4) socket.close({ code: 1012 });
    });
  });
  await tab.signIn();
  await tab.go("Rules");
  await arrives(tab, "live");
  const ids = [];
  for (let n = 1; n <= 12; n += 1) ids.push(await add(system, `Rule number ${n}`));
  for (let n = 1; n <= 12; n += 1) await tab.page.waitForSelector(`ul.rules >> text="Rule number ${n}"`);
  await again;
  for (const id of ids) await remove(system, id);
  await tab.page.waitForSelector("ul.rules >> text=Rule number", { state: "detached" });
}

export async function a_page_without_a_socket_asks_instead({ open, system }) {
  const tab = await open();
  await tab.page.routeWebSocket(/\/live/, (socket) => socket.close({ code: 1013 }));
  await tab.signIn();
  await tab.go("Rules");
  await arrives(tab, "delayed");
  const asked = reads(tab, "/events");
  const id = await add(system, "Seen without a socket");
  await tab.page.waitForSelector("ul.rules >> text=Seen without a socket");
  assert.ok(asked.length < 10, `${asked.length} requests: they wait at the API`);
  await remove(system, id);
}

export async function ten_thousand_events_do_not_freeze_a_page({ open }) {
  const tab = await open();
  let socket;
  let latest;
  await tab.page.routeWebSocket(/\/live/, (opened) => {
    socket = opened;
    opened.connectToServer().onMessage((message) => {
      latest = JSON.parse(message).latest ?? latest;
      opened.send(message);
    });
  });
  await tab.signIn();
  await tab.go("Rules");
  await arrives(tab, "live");
  const asked = reads(tab, "/rules");
  await tab.page.evaluate(() => {
    let before = performance.now();
    window.worstFrame = 0;
    const frame = (now) => {
      window.worstFrame = Math.max(window.worstFrame, now - before);
      before = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const seen = new Promise((resolve) => {
    socket.onMessage((message) => message.includes("seen") && JSON.parse(message).seen > latest + 9_000 && resolve());
  });
  for (let n = 1; n <= 10_000; n += 1) socket.send(JSON.stringify({ events: [{ id: latest + n, at: new Date().toISOString(), changed: [{ type: "rules" }] }] }));
  await seen;
  console.log(`   10,000 events: worst frame ${(await tab.page.evaluate(() => window.worstFrame)).toFixed(0)} ms, ${asked.length} readings`);
  assert.ok(asked.length <= 5, `${asked.length} readings`);
}

export async function what_was_changed_is_marked_on_the_chart({ open, system }) {
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const [campaign] = (await system.api(`ad-accounts/${account.id}/campaigns?limit=1`)).data;
  const patch = (body) => system.api(`ad-accounts/${account.id}/campaigns/${campaign.id}`, { method: "PATCH", body });
  // No other story writes this name, so that its changes are the ones that are seen.
  await patch({ name: "Marked on the chart" });
  const tab = await open();
  await tab.signIn("viewer", "/w/demo/overview?range=this_month");
  await tab.page.click(".changes summary");
  await tab.page.waitForSelector(".changes >> text=renamed the campaign “Marked on the chart”, which was");
  // One that happens now is drawn at once.
  await patch({ name: campaign.name });
  await tab.page.waitForSelector(".changes >> text=which was “Marked on the chart”");
  const drawn = JSON.parse(await tab.page.textContent("pre[data-chart=overview]"));
  const { data } = await system.api(`ad-accounts/${account.id}/changes?since=${drawn.days[0]}&until=${drawn.days.at(-1)}&limit=500`);
  assert.deepEqual(drawn.changes.map(({ id }) => id), data.filter(({ phase }) => phase !== "failed").map(({ id }) => id));
  assert.ok(drawn.changes.every(({ day }) => drawn.days.includes(day)));
}

export async function a_launch_appears_with_what_it_made({ open, system }) {
  const tab = await open();
  await tab.signIn("viewer", "/w/demo/launches");
  await arrives(tab, "live");
  await tab.page.waitForSelector("main .empty, main tr[data-launch]");
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const body = {
    name: "Launched elsewhere", objective: "OUTCOME_SALES", daily_budget: { amount: 5000, currency: account.currency },
    ad_set: { optimization_goal: "OFFSITE_CONVERSIONS", countries: ["SG"], promoted_object: { pixel_id: "123", custom_event_type: "PURCHASE" } },
    ad: { creative: { post_id: system.post } },
  };
  const launch = await system.api(`ad-accounts/${account.id}/campaigns`, { method: "POST", body, headers: { "idempotency-key": "live" } });
  const row = tab.page.locator(`tr[data-launch="${launch.launch_id}"]`);
  await row.locator("text=Committed").waitFor();
  const { steps, ...listed } = launch;
  assert.equal(steps.length, 3);
  assert.deepEqual((await system.api("launches")).data[0], listed);
  await row.locator("a").click();
  await tab.page.waitForSelector("h1:has-text('Launched elsewhere')");
  await tab.page.waitForSelector(".history >> text=launched the campaign “Launched elsewhere”");
}
