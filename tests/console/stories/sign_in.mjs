// Signing in, and what is left of it.

import assert from "node:assert/strict";

export async function a_deep_link_is_where_one_is_after_signing_in({ open, system }) {
  const tab = await open();
  const address = `${system.url}/w/demo/overview?range=last_7d&compare=none`;
  await tab.signIn("owner", "/w/demo/overview?range=last_7d&compare=none");
  assert.equal(tab.page.url(), address);
  const left = await tab.page.evaluate(() => Object.keys(sessionStorage).concat(Object.keys(localStorage)));
  assert.deepEqual(left, [], "no storage keeps anything of the sign-in");

  // A reload signs in again without a click.
  await tab.page.reload();
  await tab.page.waitForSelector("main#content .tile");
  assert.equal(tab.page.url(), address);
}

export async function an_answer_that_was_used_signs_nobody_in({ open, system }) {
  const tab = await open();
  const answers = [];
  tab.page.on("framenavigated", (frame) => frame.url().includes("/login/callback") && answers.push(frame.url()));
  await tab.signIn();
  const answer = answers.at(-1);
  assert.match(answer, /code=/);
  await tab.page.goto(answer);
  await tab.page.waitForSelector("text=This sign-in was used already");
}

export async function the_policy_allows_the_page_alone({ open, system }) {
  const page = await fetch(`${system.url}/w/demo/overview`);
  const policy = page.headers.get("content-security-policy");
  assert.ok(!/unsafe|\*|https?:\/\/(?!127)/.test(policy), policy);
  assert.match(policy, /require-trusted-types-for 'script'/);
  const refused = await fetch(`${system.url}/issuer/authorize?client_id=adflight-console&redirect_uri=https://evil.example/login/callback&response_type=code&scope=openid`);
  assert.equal(refused.status, 400, "codes go to allowed origins alone");
  const tab = await open();
  await tab.signIn();
  await tab.page.click("button.person");
  await tab.page.click("text=Sign out");
  await tab.page.waitForSelector("text=Sign in");
  await tab.page.goto(`${system.url}/w/demo/overview`);
  await tab.page.waitForSelector("text=Sign in");
}

export async function signing_out_ends_every_tab({ open }) {
  const tab = await open();
  await tab.signIn();
  const other = await tab.context.newPage();
  await other.goto(tab.page.url());
  await other.waitForSelector("main#content .tile");
  const left = other.waitForSelector("text=You signed out in another window");
  const ended = tab.page.waitForRequest((request) => request.url().includes("id_token_hint="));
  await tab.page.click("button.person");
  await tab.page.click("text=Sign out");
  await Promise.all([left, ended]);
}

export async function a_browser_that_keeps_nothing_shows_the_page({ open }) {
  const tab = await open();
  await tab.context.addInitScript(() => Object.defineProperty(window, "localStorage", { get() { throw new DOMException("blocked", "SecurityError"); } }));
  await tab.signIn();
  await tab.page.waitForSelector("main#content .tile");
  await tab.page.click("[aria-label='Dark theme']");
  await tab.page.waitForSelector("html[data-theme=dark]");
}
