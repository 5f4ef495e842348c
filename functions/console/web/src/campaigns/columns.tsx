// The columns that a person chooses: which measures, in which order.

import { useRef, useState } from "preact/hooks";
import { MEASURES, measure } from "../measures";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icons";
import { rememberColumns } from "../parts/preferences";
import { setParams } from "../route";
import type { AdAccount } from "../store";
import { useConversions } from "./conversions";
import { MAX_COLUMNS } from "./levels";

export function Columns({ account, shown, onClose }: { account: AdAccount; shown: string[]; onClose: () => void }) {
  const [columns, setColumns] = useState(shown);
  const conversions = useConversions(account, !account.source);
  const counted = conversions?.data.filter(({ is_archived }) => !is_archived) ?? [];
  const all = [...MEASURES.map(({ name }) => name), ...counted.map(({ measure }) => measure)];
  const rest = all.filter((name) => !columns.includes(name)).map(measure);
  const form = useRef<HTMLFormElement>(null);
  // The control that had the focus may be gone, or act no longer.
  const change = (next: string[], focused: string) => {
    setColumns(next);
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>(`${focused}:enabled`)?.focus());
  };
  const row = (at: number) => `li:nth-child(${at + 1}) button`;
  const moveUp = (at: number) => change(columns.with(at - 1, columns[at]!).with(at, columns[at - 1]!), row(at - 1));
  const show = (event: Event) => {
    event.preventDefault();
    const cols = columns.join(",");
    rememberColumns(cols);
    setParams({ cols });
    onClose();
  };
  return (
    <Dialog title="Columns" onClose={onClose}>
      <form ref={form} onSubmit={show}>
        <ol class="columns">
          {columns.map((name, at) => {
            const { label } = measure(name);
            return (
              <li key={name}>
                <span>{label}</span>
                <button type="button" class="icon-button" aria-label={`Move ${label} to the left`} disabled={at === 0} onClick={() => moveUp(at)}><Icon name="up" /></button>
                <button type="button" class="icon-button" aria-label={`Hide ${label}`} disabled={columns.length === 1} onClick={() => change(columns.filter((one) => one !== name), row(Math.min(at, columns.length - 2)))}><Icon name="close" /></button>
              </li>
            );
          })}
        </ol>
        <div class="chips" role="group" aria-label="Add">
          <span class="fine">Add</span>
          {rest.map(({ name, label }) => (
            <button key={name} type="button" disabled={columns.length >= MAX_COLUMNS} onClick={() => change([...columns, name], row(columns.length))}>{label}</button>
          ))}
        </div>
        {conversions?.failure && <p class="fine">Custom conversions could not be listed: {conversions.failure}</p>}
        <p class="fine" role="status">{columns.length} of {MAX_COLUMNS} columns</p>
        <p class="actions">
          <button type="submit" class="button primary">Show these columns</button>
          <button type="button" class="button" onClick={onClose}>Cancel</button>
        </p>
      </form>
    </Dialog>
  );
}
