// Walks through the HTML pages in a browser without scripts: logs in at Meta, selects ad accounts, makes mistakes and
// requests a deletion; html-validate and axe check every page on the way.
//
// node pages.mjs PACKAGES SYSTEM: the folder of node_modules, and the file that describes the served system.

import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [packages, file] = process.argv.slice(2);
const from = createRequire(resolve(packages, "package.json"));
const { JSDOM, VirtualConsole } = from("jsdom");
const { HtmlValidate } = from("html-validate");
const axe = readFileSync(from.resolve("axe-core/axe.min.js"), "utf8");
const system = JSON.parse(readFileSync(file, "utf8"));

const validator = new HtmlValidate({
  extends: ["html-validate:recommended", "html-validate:document", "html-validate:a11y"],
  rules: {
    // Each checkbox of a list is one more value of the same field.
    "form-dup-name": ["error", { shared: ["checkbox"] }],
  },
});

/** The violations that the checkers find in a page. */
async function findViolations(html) {
  const report = await validator.validateString(html);
  const found = report.results.flatMap((result) => result.messages).map((one) => `${one.ruleId}: ${one.message}`);
  const dom = new JSDOM(html, { url: system.url, runScripts: "outside-only", virtualConsole: new VirtualConsole() });
  // Nothing is rendered, so no element overlaps another, and colours and sizes cannot be checked.
  dom.window.document.elementFromPoint = () => null;
  dom.window.eval(axe);
  const rules = { "color-contrast": { enabled: false }, "target-size": { enabled: false } };
  const seen = await dom.window.axe.run(dom.window.document, { rules, resultTypes: ["violations", "incomplete"] });
  for (const one of [...seen.violations, ...seen.incomplete]) {
    found.push(`${one.id}: ${one.help} at ${one.nodes.map((node) => node.target).join(" and ")}`);
  }
  dom.window.close();
  return found;
}

let checked = 0;
let violations = 0;

/** Checks a page, and returns it to go on from. */
async function page(name, response, status, ...headings) {
  const html = await response.text();
  const document = new JSDOM(html, { url: response.url }).window.document;
  const found = await findViolations(html);
  const allowed = response.headers.get("content-security-policy") ?? "";
  for (const style of document.querySelectorAll("style")) {
    const hash = createHash("sha256").update(style.textContent).digest("base64");
    if (!allowed.includes(`style-src 'sha256-${hash}'`)) found.push("a browser refuses its style");
  }
  if (response.status !== status) found.push(`it came with the status ${response.status} and not ${status}`);
  if (!headings.includes(document.querySelector("h1")?.textContent)) found.push(`its heading is not "${headings}"`);
  if (document.querySelector("script, link, img, iframe, [onclick]")) found.push("it brings more than text and forms");
  for (const violation of found) console.error(`${name}: ${violation}`);
  violations += found.length;
  checked += 1;
  return { html, document };
}

/** Cookies are sent to the path that they are for. */
const cookies = new Map();

async function browse(url, form) {
  const { pathname } = new URL(url);
  const known = [...cookies.values()].filter((cookie) => pathname.startsWith(cookie.path)).map((cookie) => cookie.pair);
  const headers = { accept: "text/html", ...(known.length > 0 && { cookie: known.join("; ") }) };
  const response = await fetch(url, { method: form ? "POST" : "GET", body: form, headers, redirect: "manual" });
  storeCookies(response);
  return response;
}

function storeCookies(response) {
  for (const set of response.headers.getSetCookie()) {
    const [pair] = set.split(";");
    cookies.set(pair.split("=")[0], { pair, path: /Path=([^;]+)/.exec(set)[1] });
  }
}

/** What a browser would send of a form, as it is filled in. */
function formData(document, button) {
  const form = document.querySelector("form");
  const fields = new document.defaultView.FormData(form);
  const sent = new URLSearchParams([...fields].map(([name, value]) => [name, value]));
  if (button) sent.set(button.name, button.value);
  return { url: form.action, sent };
}

/** Begins a login and fills Meta's dialog in. */
async function login(fill, value = "continue") {
  const authorize = `${system.url}/v1/workspaces/${system.workspace}/connections/meta/authorize`;
  const begun = await fetch(authorize, { method: "POST", headers: { authorization: `Bearer ${system.token}` } });
  const question = await browse((await begun.json()).start_url);
  const { document: asked } = await page("the question", question, 200, "Connect ad accounts");
  const started = await browse(new URL(asked.querySelector("a").getAttribute("href"), system.url).href);
  const dialog = await browse(started.headers.get("location"));
  const { document } = new JSDOM(await dialog.text(), { url: dialog.url }).window;
  for (const [name, text] of Object.entries(fill)) document.querySelector(`[name=${name}]`).value = text;
  const { url, sent } = formData(document, { name: "decision", value });
  const decided = await browse(url, sent);
  return decided.headers.get("location");
}

const callback = await login({ declined: "ads_management" });
const choose = await page("the choice", await browse(callback), 200, "Choose ad accounts");
await page("a login that was used", await browse(callback), 409, "Not possible in the present state");

const boxes = [...choose.document.querySelectorAll("input[type=checkbox]")];
for (const box of boxes) box.checked = true;
const { url, sent } = formData(choose.document);
const mistaken = new URLSearchParams([...sent, ["colour", "red"]]);
await page("a mistake", await browse(url, mistaken), 400, "The request has a mistake");
const chosen = await page("what was chosen", await browse(url, sent), 200, "Your selection is saved");
for (const box of boxes) {
  if (!chosen.html.includes(box.value)) {
    console.error(`${box.value} was ticked and is not said to be synced`);
    violations += 1;
  }
}
for (const box of boxes) box.checked = false;
await page("another choice", await browse(url, formData(choose.document).sent), 409, "Not possible in the present state");

const again = await page("the choice, later", await browse(await login({})), 200, "Choose ad accounts");
if (again.document.querySelectorAll("input:checked").length !== boxes.length) {
  console.error("what is synced has no tick");
  violations += 1;
}
const none = formData(again.document);
none.sent.delete("ad_account");
await page("nothing chosen", await browse(none.url, none.sent), 200, "Your selection is saved");

await page("a cancelled login", await browse(await login({}, "cancel")), 422, "The login was cancelled");
const nothing = await browse(await login({ accounts: "act_404" }));
await page("nothing to choose", nothing, 200, "Connected to Meta, without ad accounts");

const payload = { algorithm: "HMAC-SHA256", issued_at: Number(system.now), user_id: "404" };
const text = Buffer.from(JSON.stringify(payload)).toString("base64url");
const signature = createHmac("sha256", system.app_secret).update(text).digest("base64url");
const signed = new URLSearchParams({ signed_request: `${signature}.${text}` });
const deletion = await browse(`${system.url}/v1/auth/meta/data-deletion`, signed);
const { url: status } = await deletion.json();
await page("a deletion", await browse(status), 200, "Your data is being deleted", "Your data is deleted");
await page("an unknown deletion", await browse(`${system.url}/v1/auth/meta/data-deletion/404`), 404, "Unknown deletion");

// Proves that the checkers detect mistakes.
for (const [what, broken] of [
  ["a missing language", choose.html.replace('<html lang="en">', "<html>")],
  ["a missing title", choose.html.replace(/<title>.*<\/title>/, "")],
  ["boxes without labels", choose.html.replaceAll("<label>", "<span>").replaceAll("</label>", "</span>")],
  ["a group without a name", choose.html.replace(/<legend>.*<\/legend>/, "")],
  ["a page without a heading", choose.html.replaceAll("h1>", "p>")],
  ["text outside of the landmark", choose.html.replace("<main>", "<div>").replace("</main>", "</div>")],
]) {
  if ((await findViolations(broken)).length === 0) {
    console.error(`no checker detects ${what}`);
    violations += 1;
  }
}
console.log(`   ${checked} pages checked, ${violations} violations.`);
process.exitCode = violations > 0 ? 1 : 0;
