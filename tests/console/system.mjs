// The product as `cargo run` starts it, on data of its own. It can be killed and started again at the same address.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

/** What was started: it ends with this process, also when that is told to end. */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

/** A running `adflight up`. */
export class System {
  #program;
  #data;
  #process;
  #account;

  /** Starts the program on an empty folder, with an ad account as these options say. */
  static async start(program, data, account = []) {
    rmSync(data, { recursive: true, force: true });
    const system = new System();
    system.#program = program;
    system.#data = data;
    system.#account = account;
    await system.up("0");
    return system;
  }

  /** Starts it, and waits until it serves. Access tokens are short, so that sessions renew while the stories run. */
  async up(port = new URL(this.url).port) {
    const args = ["up", "--data", this.#data, "--port", port, "--access-token", "40", ...this.#account];
    this.#process = spawn(this.#program, args, { stdio: ["ignore", "pipe", "inherit"] });
    running.add(this.#process);
    await new Promise((resolve, reject) => {
      const lines = createInterface({ input: this.#process.stdout });
      lines.on("line", (line) => {
        const address = line.match(/^The console: (\S+)$/)?.[1];
        this.meta = line.match(/^The simulated Meta: (\S+)$/)?.[1] ?? this.meta;
        this.post = line.match(/such as (\d+_1), as `post_id`/)?.[1] ?? this.post;
        if (address) this.url = address;
        // The last line of what it says when it serves.
        if (line.includes("as `post_id`")) resolve();
      });
      lines.on("close", () => reject(new Error("adflight ended before it served")));
    });
  }

  /** Returns the number of its process. */
  get pid() {
    return this.#process.pid;
  }

  /** Kills it as a power cut does. */
  async kill() {
    this.#process.kill("SIGKILL");
    await once(this.#process, "exit");
  }

  async stop() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill("SIGTERM");
    await once(this.#process, "exit");
  }

  /** Returns a session token, as a developer gets it. */
  async token(role = "owner", workspace = "demo") {
    const printed = spawn(this.#program, ["token", "--data", this.#data, "--role", role, "--workspace", workspace]);
    let token = "";
    for await (const part of printed.stdout) token += part;
    return token.trim();
  }

  /** Asks the API what a page should show. */
  async api(path, { workspace = "demo", method = "GET", body, token, headers } = {}) {
    const response = await fetch(`${this.url}/v1/workspaces/${workspace}/${path}`, {
      method,
      headers: { authorization: `Bearer ${token ?? (await this.token())}`, "content-type": "application/json", ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return text ? JSON.parse(text) : undefined;
  }
}
