// Every page, by machine-made eyes: axe, html-validate, no sideways scrolling; light and dark, desktop and phone. The
// pictures are for people.

import assert from "node:assert/strict";
import { join } from "node:path";

const PAGES = ["Overview", "Campaigns", "Rules", "Connections", "Launches", "Members", "Audit log", "Settings"];

async function walk(tab, suffix, screenshots) {
  await tab.settled();
  const hrefs = await tab.page.$$eval("nav.side > ul a", (links) => links.map(({ href, textContent }) => [textContent, href]));
  for (const label of PAGES) {
    // Not every link is visible on a phone; the address is the same.
    const href = hrefs.find(([text]) => text === label)[1];
    await tab.page.evaluate((href) => {
      const link = Object.assign(document.createElement("a"), { href });
      document.body.append(link);
      link.click();
      link.remove();
    }, href);
    await tab.page.waitForSelector(`main#content h1:text-is("${label}")`);
    await tab.check(`${label}, ${suffix}`);
    await tab.page.screenshot({ path: join(screenshots, `${label.toLowerCase().replace(" ", "-")}-${suffix}.png`), fullPage: !["phone", "narrow"].includes(suffix) });
  }
}

export async function every_page_is_sound_light_and_on_a_desktop({ open, screenshots }) {
  const tab = await open();
  await tab.page.goto(tab.system.url);
  await tab.page.waitForSelector("text=Sign in");
  await tab.page.screenshot({ path: join(screenshots, "login.png") });
  await tab.signIn();
  await walk(tab, "light", screenshots);
  // One of each kind of thing that opens.
  await tab.go("Campaigns");
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
  await tab.page.click("table.grid tbody input[type=checkbox] >> nth=0");
  await tab.page.click(".in-place >> nth=0");
  await tab.check("campaigns with a selection and an open field");
  await tab.page.keyboard.press("Escape");
  await tab.page.click(".range-button");
  await tab.check("an open popover");
  await tab.page.keyboard.press("Escape");
  await tab.page.keyboard.press("Control+k");
  await tab.page.keyboard.type("over");
  await tab.check("the palette");
  await tab.page.keyboard.press("Escape");
  await tab.page.keyboard.press("?");
  await tab.check("the list of keys");
  await tab.page.keyboard.press("Escape");
  await tab.page.click("table.grid tbody .name a >> nth=0");
  await tab.page.waitForSelector(".facts dl");
  await tab.check("a campaign");
  await tab.page.screenshot({ path: join(screenshots, "campaign-light.png"), fullPage: true });
}

export async function every_page_is_sound_dark_and_on_a_phone({ open, screenshots }) {
  const dark = await open({ colorScheme: "dark" });
  await dark.signIn();
  await walk(dark, "dark", screenshots);
  const phone = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await phone.signIn();
  await walk(phone, "phone", screenshots);
  // 200 % zoom of a small window is this wide.
  await phone.page.setViewportSize({ width: 320, height: 640 });
  await walk(phone, "narrow", screenshots);
}

export async function the_other_theme_is_chosen_and_remembered({ open }) {
  const tab = await open();
  await tab.signIn();
  await tab.page.click(".head [aria-label='Dark theme']");
  await tab.page.reload();
  await tab.page.waitForSelector(".head [aria-label='Light theme']");
  assert.equal(await tab.page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(12, 15, 20)");
}
