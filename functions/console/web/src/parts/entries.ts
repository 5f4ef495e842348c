// The pages of the navigation, by what the person's role can use.

import { adAccount, can, inWorkspace } from "../store";
import type { IconName } from "./icons";

interface Entry {
  page: string;
  label: string;
  icon: IconName;
  href: string;
  /** The key after `g` that leads there. */
  key: string;
}

/** Returns the pages that the person's role can use. */
export function entries(): Entry[] {
  const account = adAccount.value?.id;
  const all: (Entry | false | undefined)[] = [
    { page: "overview", label: "Overview", icon: "overview", href: inWorkspace("overview"), key: "o" },
    account !== undefined && { page: "campaigns", label: "Campaigns", icon: "campaigns", href: inWorkspace(`${account}/campaigns`), key: "c" },
    { page: "rules", label: "Rules", icon: "rules", href: inWorkspace("rules"), key: "r" },
    { page: "connections", label: "Connections", icon: "connections", href: inWorkspace("connections"), key: "n" },
    { page: "launches", label: "Launches", icon: "launches", href: inWorkspace("launches"), key: "l" },
    { page: "members", label: "Members", icon: "members", href: inWorkspace("members"), key: "m" },
    can("owner") && { page: "audit", label: "Audit log", icon: "audit", href: inWorkspace("audit"), key: "a" },
    { page: "settings", label: "Settings", icon: "settings", href: inWorkspace("settings"), key: "s" },
  ];
  return all.filter((entry) => typeof entry === "object");
}
