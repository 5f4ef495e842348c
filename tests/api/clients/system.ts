// The running system, as the check describes it in a file.

import { readFileSync } from "node:fs";
import type { components } from "./schema";

interface System {
  url: string;
  token: string;
  workspace: string;
  ad_account: string;
  currency: string;
  campaigns: string[];
  launch_document: components["schemas"]["LaunchSpec"];
}

export const system: System = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));

export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`not as described: ${what}`);
}
