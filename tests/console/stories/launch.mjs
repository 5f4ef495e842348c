// A launch from the console: a form and its document, what is wrong with it, and how it goes.

import assert from "node:assert/strict";

const box = (kind, ...content) => {
  const bytes = Buffer.concat(content);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(bytes.length + 8);
  head.write(kind, 4, "latin1");
  return Buffer.concat([head, bytes]);
};
const number = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Returns an MP4 file that says that its picture is so large. */
function film(width, height) {
  const movie = box("mvhd", Buffer.alloc(12), number(1000), number(8000), Buffer.alloc(80));
  const matrix = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000].map(number);
  const track = box("tkhd", Buffer.alloc(40), ...matrix, number(width << 16), number(height << 16));
  const handler = box("hdlr", Buffer.alloc(8), Buffer.from("vide"), Buffer.alloc(13));
  const described = box("stsd", number(0), number(1), box("avc1", Buffer.alloc(78)));
  const media = box("mdia", handler, box("minf", box("stbl", described)));
  return Buffer.concat([box("ftyp", Buffer.from("isom"), number(0)), box("mdat", Buffer.alloc(5_000_000, width % 251)), box("moov", movie, box("trak", track, media))]);
}

export async function a_launch_is_written_checked_sent_and_started({ open, system, screenshots }) {
  const tab = await open();
  await tab.signIn("editor", "/w/demo/launches");
  await tab.page.click("text=New launch");
  await tab.page.waitForSelector("h1:has-text('New launch')");
  const field = (label) => tab.page.locator(`label:has-text("${label}")`).locator("input, select, textarea").first();
  const finding = (name) => tab.page.locator(`.findings [data-field="${name}"]`);
  // What is missing is said while it is written.
  await finding("name").waitFor();
  await finding("ad.creative.link.link").waitFor();
  assert.ok(await tab.page.locator("text=Launch …").isDisabled());

  await field("Name").fill("From the console");
  await field("Daily budget").fill("75.50");
  await field("Countries").fill("sg, my");
  await field("Pixel").fill("123");
  await field("Page").fill(system.post.split("_")[0]);
  await field("Link").fill("https://example.com/spring");
  await field("Text").fill("Spring is here.");
  // A headline of several needs a first one.
  await field("More headlines").fill("New in\nFor you");
  await field("More headlines").blur();
  await finding("ad.creative.link.more_headlines").waitFor();
  await field("Headline").fill("Spring");
  // A video is uploaded in parts, and one that ads cannot show is refused for what it is.
  const add = (name, mimeType, buffer) => tab.page.locator("fieldset.media input[type=file]").setInputFiles({ name, mimeType, buffer });
  await add("wide.mp4", "video/mp4", film(2000, 200));
  await tab.page.waitForSelector("text=its picture is 2000 x 200");
  await add("film.mp4", "video/mp4", film(1080, 1920));
  await tab.page.waitForSelector("fieldset.media p:has-text('Video') code");
  const video = JSON.parse(await field("Document").inputValue()).ad.creative.link.video;
  const library = await system.api(`ad-accounts/${await field("Ad account").inputValue()}/media?kind=video`);
  assert.deepEqual(library.data.map(({ id, name }) => [id, name]), [[video, "film.mp4"]]);
  await tab.page.waitForSelector("text=Nothing is wrong with the document");
  const document = JSON.parse(await field("Document").inputValue());
  assert.equal(document.daily_budget.amount, 7550);
  assert.deepEqual(document.ad.creative.link.more_headlines, ["New in", "For you"]);
  assert.deepEqual(document.ad_set.countries, ["SG", "MY"]);
  // The document may say more than the form, and the form follows it.
  document.ad_set.audience = { age_min: 80 };
  document.name = "From the document";
  await field("Document").fill(JSON.stringify(document, null, 2));
  await finding("ad_set.audience.age_min").waitFor();
  assert.equal(await field("Name").inputValue(), "From the document");
  document.ad_set.audience.age_min = 25;
  await field("Document").fill(JSON.stringify(document, null, 2));
  await tab.page.waitForSelector("text=Nothing is wrong with the document");
  await tab.page.click("text=3 requests would be sent");
  await tab.page.waitForSelector("pre >> text=POST act_");
  await tab.page.click("text=Check at Meta");
  await tab.page.waitForSelector("text=Meta would create the campaign");
  if (screenshots) await tab.page.screenshot({ path: `${screenshots}/launch.png`, fullPage: true });

  // The ad is seen before it exists; of another text nothing is shown until somebody asks again.
  const preview = tab.page.locator("[aria-label=Preview]");
  await preview.locator("select").selectOption("INSTAGRAM_STORY");
  await preview.locator("button").click();
  await preview.locator("iframe").contentFrame().locator("text=Spring is here.").waitFor();
  if (screenshots) await tab.page.screenshot({ path: `${screenshots}/preview.png`, fullPage: true });
  await field("Text").fill("Spring has come.");
  await preview.locator("iframe").waitFor({ state: "detached" });
  await tab.page.waitForSelector("text=Nothing is wrong with the document");

  await tab.page.click("text=Launch …");
  await tab.page.waitForSelector("dialog[open] >> text=a campaign with 1 ad set and 1 ad");
  await tab.page.click("dialog[open] .primary");
  await tab.page.waitForSelector("h2:has-text('Launched, paused')");
  assert.equal(await tab.page.locator("tr[data-step] >> text=Created").count(), 3);
  await tab.page.click("text=Start it now");
  await tab.page.waitForSelector("h1:has-text('From the document')");
  const [launch] = (await system.api("launches")).data;
  assert.equal(launch.name, "From the document");
  for (let tries = 0; ; tries += 1) {
    const { state } = await system.api(`ad-accounts/${launch.ad_account}/campaigns/${launch.campaign_id}/schedules/activate`);
    if (state === "done") break;
    assert.ok(tries < 50, state);
    await tab.page.waitForTimeout(100);
  }
}

export async function a_campaign_is_duplicated_and_its_copy_is_shown({ open, system }) {
  const account = (await system.api("ad-accounts")).data.find(({ selected, connection }) => selected && connection).id;
  const { data: campaigns } = await system.api(`ad-accounts/${account}/campaigns?limit=50`);
  const source = campaigns.find(({ effective_status: status }) => status === "ACTIVE");
  const tab = await open();
  await tab.signIn("editor", `/w/demo/${account}/campaigns/${source.id}`);
  await tab.page.click("text=Duplicate …");
  await tab.page.locator("label:has-text('Name of the copy') input").fill("A second round");
  await tab.page.click("form.rename .primary");
  await tab.page.waitForSelector("h1:has-text('Launch of “A second round”')");
  await tab.page.waitForSelector("h2:has-text('Launched, paused')");
  const [{ campaign_id: id }] = (await system.api("launches")).data;
  const copy = await system.api(`ad-accounts/${account}/campaigns/${id}`);
  assert.deepEqual([copy.name, copy.status], ["A second round", "PAUSED"]);
  const below = async (campaign) => (await system.api(`ad-accounts/${account}/adsets?campaign_id=${campaign}&limit=100`)).data
    .filter(({ effective_status: status }) => status !== "ARCHIVED").map(({ name }) => name).sort();
  assert.deepEqual(await below(id), await below(source.id));
}

export async function what_is_written_of_a_launch_stays_until_it_is_launched({ open }) {
  const tab = await open();
  await tab.signIn("editor", "/w/demo/launch");
  await tab.page.fill("label:has-text('Name') input", "Half a launch");
  await tab.go("Rules");
  await tab.page.goBack();
  await tab.page.waitForSelector("textarea.code");
  assert.match(await tab.page.inputValue("textarea.code"), /Half a launch/);
  const asked = new Promise((resolve) => tab.page.once("dialog", (dialog) => (resolve(dialog.type()), dialog.accept())));
  await tab.page.reload();
  assert.equal(await asked, "beforeunload");
}
