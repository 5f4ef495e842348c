// Entries of the audit log, as people read them.

import type { Schemas } from "./api";
import { words } from "./format";
import { session } from "./session";

export type Entry = Schemas["AuditEntryView"];

/** Leaves out the intent of what has an outcome: an event has both, newest first. */
export function outcomes(entries: Entry[]): Entry[] {
  const known = new Set<string>();
  return entries.filter(({ event_id, phase }) => {
    const isRepeated = phase === "intended" && known.has(event_id);
    known.add(event_id);
    return !isRepeated;
  });
}

/** Writes a person, by the subject of their session. */
export function person(subject: string): string {
  const state = session.value;
  return state.kind === "signed-in" && state.person.subject === subject ? "you" : subject;
}

/** Writes who did something. */
export function actor(by: Schemas["Actor"]): string {
  switch (by.kind) {
    case "person":
      return person(by.subject);
    case "rule":
      return "a rule";
    case "schedule":
      return "a schedule";
    case "platform":
      return "Meta";
    case "operator":
      return "an operator";
  }
}

/** Writes who did something the same way for every reader. */
export const actorId = (by: Schemas["Actor"]): string => [by.kind, "subject" in by ? by.subject : "rule" in by ? by.rule : undefined].filter(Boolean).join(" ");

/** Writes a value of an entry. */
export const text = (value: unknown): string => (value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));

/** Shows the fields that differ, each with its old and new value. */
export function Change({ entry: { before, after } }: { entry: Entry }) {
  const fields = (value: unknown) => (typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {});
  const [old, next] = [fields(before), fields(after)];
  const names = [...new Set([...Object.keys(old), ...Object.keys(next)])].filter((name) => text(old[name]) !== text(next[name]));
  return (
    <>
      {names.slice(0, 4).map((name) => (
        <span class="change" key={name}>{words(name)}: {name in old && <><s>{text(old[name])}</s> </>}{text(next[name]) || "none"}</span>
      ))}
    </>
  );
}
