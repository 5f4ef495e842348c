// Chromium, and a console in it that reports whatever should not happen.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/** Starts Chromium. `packages` has Playwright and Chromium, `checkers` has axe and html-validate. */
export async function launch(packages, checkers) {
  const from = createRequire(resolve(packages, "package.json"));
  const { default: chromium } = await import(pathToFileURL(from.resolve("@sparticuz/chromium")));
  const { chromium: playwright } = from("playwright-core");
  const check = createRequire(resolve(checkers, "package.json"));
  const { HtmlValidate } = check("html-validate");
  const browser = await playwright.launch({
    executablePath: await chromium.executablePath(),
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-zygote", "--disable-background-networking"],
  });
  const axe = readFileSync(check.resolve("axe-core/axe.min.js"), "utf8");
  const validator = new HtmlValidate({
    extends: ["html-validate:standard", "html-validate:a11y"],
    rules: {
      // Classes and keys are the page's own, and the framework writes attributes as it likes.
      "attribute-boolean-style": "off", "attribute-empty-style": "off", "no-inline-style": "off", "void-style": "off",
      "no-implicit-button-type": "error", "prefer-native-element": "off", "no-redundant-role": "off", "valid-id": "off",
      "doctype-style": "off", "long-title": "off", "no-trailing-whitespace": "off", "require-sri": "off",
      "tel-non-breaking": "off", "element-permitted-content": "error",
    },
  });
  return { browser, axe, validator };
}

/** A tab of the console, of a person of its own. */
export class Console {
  /** What went wrong on the way. */
  problems = [];
  /** Answers of the API that a story expects to be refused. */
  expected = new Set();

  static async open(chromium, system, options = {}) {
    const self = new Console();
    self.chromium = chromium;
    self.system = system;
    self.context = await chromium.browser.newContext({
      locale: "en-GB", viewport: { width: 1440, height: 900 }, reducedMotion: "reduce", ...options,
    });
    // Other steps of the check may have the machine at the same time.
    self.context.setDefaultTimeout(60_000);
    self.watch(await self.context.newPage());
    return self;
  }

  watch(page) {
    this.page = page;
    const origin = new URL(this.system.url).origin;
    page.on("pageerror", (error) => this.problems.push(`${error.message} ${error.stack?.split("\n")[1] ?? ""}`));
    page.on("console", (message) => {
      if (!["error", "warning"].includes(message.type())) return;
      // Chromium reports every refusal of the API; those that a story provokes are not faults of the page.
      if (/Failed to load resource/.test(message.text()) && this.expected.size > 0) return;
      this.problems.push(`${message.type()}: ${message.text()}`);
    });
    page.on("request", (request) => {
      const url = new URL(request.url());
      const isMeta = request.isNavigationRequest();
      if (["http:", "https:"].includes(url.protocol) && url.origin !== origin && !isMeta) this.problems.push(`a request to ${url.origin}`);
    });
    page.on("response", (response) => {
      if (response.status() >= 400 && !this.expected.has(response.status())) {
        this.problems.push(`${response.request().method()} ${response.url()} answered ${response.status()}`);
      }
    });
  }

  /** Signs in as the person with this role, at an address. */
  async signIn(role = "owner", path = "/w/demo/overview") {
    await this.page.goto(this.system.url + path);
    await this.page.click("text=Sign in");
    await this.page.click(`button[value=${role}]`);
    await this.page.waitForSelector("main#content");
  }

  /** Goes to a page by the navigation, as a person does. */
  async go(label) {
    await this.page.click(`nav.side >> text="${label}"`);
    await this.page.waitForSelector(`main#content h1:text-is("${label}")`);
  }

  /** Waits until nothing is being read. */
  async settled() {
    await this.page.waitForFunction(() => document.querySelector("main#content") && !document.querySelector("[aria-busy=true], .skeleton"));
  }

  /** Checks what is on the page by axe and html-validate. */
  async check(name) {
    await this.settled();
    // Evaluated by the debugger, which the page's policy does not concern.
    await this.page.evaluate(this.chromium.axe);
    const { violations } = await this.page.evaluate(() =>
      window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"] }));
    for (const { id, help, nodes } of violations) {
      this.problems.push(`${name}: ${id}: ${help} at ${nodes.slice(0, 3).map(({ target }) => target).join(" and ")}`);
    }
    const report = await this.chromium.validator.validateString(await this.page.content());
    for (const message of report.results.flatMap(({ messages }) => messages)) {
      this.problems.push(`${name}: ${message.ruleId}: ${message.message} at ${message.selector}`);
    }
    const width = await this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (width > 0) this.problems.push(`${name}: the page scrolls sideways by ${width} pixels`);
  }

  /** Returns the texts of a column of the table, as they are on the page. */
  rows() {
    return this.page.$$eval("table.grid tbody tr[data-key]", (rows) => rows.map((row) => ({
      id: row.dataset.key,
      name: row.querySelector(".name a").textContent,
      cells: Object.fromEntries([...row.querySelectorAll("td[data-column]")].map((cell) => [cell.dataset.column, (cell.querySelector("span") ?? cell).textContent])),
    })));
  }

  /** Returns what a chart draws. */
  async chart(name) {
    return JSON.parse(await this.page.textContent(`pre[data-chart="${name}"]`));
  }

  async close() {
    await this.context.close();
    assert.deepEqual(this.problems, [], "what should not happen on a page");
  }
}
