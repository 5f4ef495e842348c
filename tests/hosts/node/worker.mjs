// A packed Worker in workerd, controlled line by line: a JSON command on the input, a JSON response on the output. It
// ends when its input is closed, and stops workerd.
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { packages, config, environment, bundle, crashable, vars, secrets } = JSON.parse(process.argv[2]);
const { createTestHarness } = await import(
  pathToFileURL(`${packages}/wrangler/wrangler-dist/cli.js`).href
);

// The packed Worker, with a wrapper that can crash it.
async function crashableBundle() {
  const folder = await mkdtemp(`${bundle}-crashable-`);
  await cp(bundle, folder, { recursive: true });
  const [front, packed] = await Promise.all(
    [`${import.meta.dirname}/crashable.mjs`, `${bundle}/index.js`].map((path) => readFile(path, "utf8")),
  );
  await writeFile(`${folder}/index.js`, `{\n${front}\n}\n${packed}`);
  return folder;
}

// Cloudflare's emulator drops messages to a queue without a consumer.
const deadLetters = {
  name: "dead-letters",
  main: `${import.meta.dirname}/dead_letters.mjs`,
  compatibility_date: "2026-10-01",
  queues: { consumers: [{ queue: "adflight-webhook-ingest-dead", max_batch_timeout: 0 }] },
};
const folder = crashable ? await crashableBundle() : bundle;
const worker = {
  configPath: config,
  env: environment,
  prebuiltWorkerDir: folder,
  vars,
  secrets,
};
const others = environment === "webhook-ingest" ? [{ config: deadLetters }] : [];
const server = createTestHarness({ workers: [worker, ...others] });

const commands = {
  // Fires the cron trigger.
  async cron() {
    return await server.getWorker().scheduled({ cron: "*/5 * * * *" });
  },
  // Returns everything that was logged since the last call.
  async logs() {
    const logs = server.getLogs().map((line) => line.message);
    server.clearLogs();
    return logs;
  },
  // Puts messages into the queue without going through the Worker.
  async enqueue({ messages }) {
    const { WEBHOOK_QUEUE } = await server.getWorker().getEnv();
    await WEBHOOK_QUEUE.sendBatch(messages.map(({ body, contentType }) => ({ body, contentType })));
    return messages.length;
  },
  // Returns the dead letters so far.
  async dead() {
    return await (await server.getWorker("dead-letters").fetch("/")).json();
  },
};

// Output of the packages goes to stderr: stdout carries only our JSON lines.
const write = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
console.log = console.info = console.warn = console.debug = console.error;

const { url } = await server.listen();
write({ url: url.href });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    write({ ok: await commands[command.do](command) });
  } catch (error) {
    write({ error: String(error?.stack ?? error) });
  }
}
await server.close();
if (crashable) await rm(folder, { recursive: true });
process.exit(0);
