// The columns that a person chooses: which measures, in which order.

import { useState } from "preact/hooks";
import { conversionNames, MEASURES, measure } from "../measures";
import { Dialog } from "../parts/dialog";
import { Icon } from "../parts/icons";
import { rememberColumns } from "../parts/preferences";
import { setParams } from "../route";
import type { AdAccount } from "../store";
import { useConversions } from "./conversions";

/** Wider tables are not read, and slow. */
const MAX_COLUMNS = 16;

export function Columns({ account, shown, onClose }: { account: AdAccount; shown: string[]; onClose: () => void }) {
  const [columns, setColumns] = useState(shown);
  useConversions(account, !account.source);
  const all = [...MEASURES.map(({ name }) => name), ...conversionNames.value.keys()];
  const rest = all.filter((name) => !columns.includes(name)).map(measure);
  const moveUp = (at: number) => setColumns(columns.with(at - 1, columns[at]!).with(at, columns[at - 1]!));
  const show = (event: Event) => {
    event.preventDefault();
    const cols = columns.join(",");
    rememberColumns(cols);
    setParams({ cols });
    onClose();
  };
  return (
    <Dialog title="Columns" onClose={onClose}>
      <form onSubmit={show}>
        <ol class="columns">
          {columns.map((name, at) => {
            const { label } = measure(name);
            return (
              <li key={name}>
                <span>{label}</span>
                <button type="button" class="icon-button" aria-label={`Move ${label} to the left`} disabled={at === 0} onClick={() => moveUp(at)}><Icon name="up" /></button>
                <button type="button" class="icon-button" aria-label={`Hide ${label}`} disabled={columns.length === 1} onClick={() => setColumns(columns.filter((one) => one !== name))}><Icon name="close" /></button>
              </li>
            );
          })}
        </ol>
        <div class="chips" role="group" aria-label="Add">
          <span class="fine">Add</span>
          {rest.map(({ name, label }) => (
            <button key={name} type="button" disabled={columns.length >= MAX_COLUMNS} onClick={() => setColumns([...columns, name])}>{label}</button>
          ))}
        </div>
        <p class="actions">
          <button type="submit" class="button primary">Show these columns</button>
          <button type="button" class="button" onClick={onClose}>Cancel</button>
        </p>
      </form>
    </Dialog>
  );
}
