// A table of thousands of rows: real table elements, of which only the visible rows are on the page.

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons";
import { shortcutsOn } from "./preferences";

export interface Column<Row> {
  id: string;
  label: string;
  /** Pixels. The first column takes what is left. */
  width: number;
  number?: boolean;
  sortable?: boolean;
  title?: string;
  cell: (row: Row) => ComponentChildren;
  total?: ComponentChildren;
}

interface Props<Row> {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  keyOf: (row: Row) => string;
  rowHeight: number;
  sort: { by: string; order: "asc" | "desc" };
  onSort: (by: string) => void;
  /** Rows that a person has selected; without `onSelect` there is no choice. */
  selected: Set<string>;
  onSelect?: ((selected: Set<string>) => void) | undefined;
  busy: boolean;
  /** Keys that act on the focused row. */
  onKey: (key: string, row: Row) => boolean;
}

/** Rows that are on the page beyond the visible ones. */
const OVERSCAN = 6;
const HEAD_HEIGHT = 36;

export function Grid<Row>(props: Props<Row>) {
  const { label, columns, rows, keyOf, rowHeight, sort, onSort, selected, onSelect, busy, onKey } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800, sideways: false });
  const [focused, setFocused] = useState<string>();
  const anchor = useRef<string>(undefined);

  useLayoutEffect(() => {
    const element = scroller.current!;
    const read = () => {
      const { scrollTop: top, clientHeight: height, scrollLeft } = element;
      setView((before) =>
        before.top === top && before.height === height && before.sideways === scrollLeft > 0
          ? before
          : { top, height, sideways: scrollLeft > 0 });
    };
    read();
    element.addEventListener("scroll", read, { passive: true });
    const resized = new ResizeObserver(read);
    resized.observe(element);
    return () => {
      element.removeEventListener("scroll", read);
      resized.disconnect();
    };
  }, []);

  const first = Math.max(0, Math.floor(view.top / rowHeight) - OVERSCAN);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / rowHeight) + OVERSCAN);
  const focusedIndex = focused === undefined ? -1 : rows.findIndex((row) => keyOf(row) === focused);
  const shown: number[] = [];
  for (let index = first; index < last; index += 1) shown.push(index);
  // The focused row stays on the page, or the focus would be lost while it is scrolled away.
  if (focusedIndex >= 0 && focusedIndex < first) shown.unshift(focusedIndex);
  if (focusedIndex >= last) shown.push(focusedIndex);

  const focusRow = (index: number) => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
    if (row === undefined) return;
    const element = scroller.current!;
    const at = Math.max(0, Math.min(rows.length - 1, index)) * rowHeight;
    const visible = element.clientHeight - HEAD_HEIGHT - rowHeight * 2;
    if (at < element.scrollTop) element.scrollTop = at;
    else if (at > element.scrollTop + visible) element.scrollTop = at - visible;
    setFocused(keyOf(row));
  };
  useEffect(() => {
    if (focused === undefined || !scroller.current?.contains(document.activeElement)) return;
    const row = scroller.current.querySelector<HTMLElement>(`tr[data-key="${CSS.escape(focused)}"]`);
    if (row && !row.contains(document.activeElement)) row.focus({ preventScroll: true });
  }, [focused]);

  const select = (key: string, range: boolean) => {
    if (!onSelect) return;
    const next = new Set(selected);
    const from = anchor.current === undefined ? -1 : rows.findIndex((row) => keyOf(row) === anchor.current);
    const to = rows.findIndex((row) => keyOf(row) === key);
    if (range && from >= 0) {
      for (let index = Math.min(from, to); index <= Math.max(from, to); index += 1) next.add(keyOf(rows[index]!));
    } else if (!next.delete(key)) next.add(key);
    anchor.current = key;
    onSelect(next);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (target.matches("input:not([type=checkbox]), select, textarea") || event.metaKey || event.ctrlKey || event.altKey) return;
    // Keys act on the row that has the focus, and not on one that had it.
    const key = target.closest<HTMLElement>("tr[data-key]")?.dataset["key"];
    const index = key === undefined ? -1 : rows.findIndex((row) => keyOf(row) === key);
    const isLetter = event.key.length === 1;
    if (isLetter && (event.repeat || !shortcutsOn.value)) return;
    const steps: Record<string, number> = {
      ArrowDown: index + 1, j: index + 1, ArrowUp: index - 1, k: index - 1, Home: 0, End: rows.length - 1,
      PageDown: index + 10, PageUp: index - 10,
    };
    const step = steps[event.key];
    const row = rows[index];
    if (step !== undefined) focusRow(index < 0 ? 0 : step);
    else if (row !== undefined && (event.key === "x" || event.key === "X")) select(keyOf(row), event.shiftKey);
    else if (row === undefined || (event.key === "Enter" && target.tagName !== "TR") || !onKey(event.key, row)) return;
    event.preventDefault();
    event.stopPropagation();
  };

  const all = rows.length > 0 && rows.every((row) => selected.has(keyOf(row)));
  const width = columns.reduce((sum, column) => sum + column.width, onSelect ? 40 : 0);
  const hasTotals = columns.some(({ total }) => total !== undefined);
  let before = 0;
  return (
    <div
      ref={scroller} class={`grid-scroll${view.sideways ? " sideways" : ""}`} tabIndex={rows.length > 0 ? -1 : 0}
      role="region" aria-label={label} aria-busy={busy} onKeyDown={onKeyDown}
    >
      <table class="grid" style={{ minInlineSize: `${width}px` }} aria-rowcount={rows.length + 1 + (hasTotals ? 1 : 0)}>
        <colgroup>
          {onSelect && <col style={{ width: "40px" }} />}
          {columns.map(({ id, width }, index) => <col key={id} style={index === 0 ? {} : { width: `${width}px` }} />)}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            {onSelect && (
              <th scope="col" class="pick">
                <input
                  type="checkbox" aria-label={`Select all ${rows.length} rows`} checked={all}
                  ref={(box) => { if (box) box.indeterminate = !all && selected.size > 0; }}
                  onChange={() => onSelect(all ? new Set() : new Set(rows.map(keyOf)))}
                />
              </th>
            )}
            {columns.map(({ id, label, number, sortable, title }, index) => (
              <th
                key={id} scope="col" title={title} class={`${number ? "number" : ""}${index === 0 ? " name" : ""}`}
                aria-sort={sort.by !== id ? undefined : sort.order === "asc" ? "ascending" : "descending"}
              >
                {sortable
                  ? <button type="button" onClick={() => onSort(id)}>{sort.by === id && <Icon name={sort.order === "asc" ? "up" : "down"} />}{label}</button>
                  : label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((index) => {
            const row = rows[index]!;
            const key = keyOf(row);
            const gap = (index - before) * rowHeight;
            before = index + 1;
            const isFocusable = focusedIndex < 0 ? index === first : index === focusedIndex;
            return [
              gap > 0 && <tr key={`gap-${key}`} class="gap" aria-hidden="true" style={{ height: `${gap}px` }} />,
              <tr
                key={key} data-key={key} aria-rowindex={index + 2} tabIndex={isFocusable ? 0 : -1} style={{ height: `${rowHeight}px` }}
                class={selected.has(key) ? "selected" : ""}
                aria-selected={onSelect ? selected.has(key) : undefined} onFocusIn={() => setFocused(key)}
              >
                {onSelect && (
                  <td class="pick">
                    <input
                      type="checkbox" tabIndex={-1} checked={selected.has(key)} aria-labelledby={`name-${key}`}
                      onClick={(event) => select(key, event.shiftKey)}
                    />
                  </td>
                )}
                {columns.map(({ id, number, cell }, column) =>
                  column === 0
                    ? <th key={id} scope="row" class="name" id={`name-${key}`}>{cell(row)}</th>
                    : <td key={id} class={number ? "number" : ""} data-column={id}>{cell(row)}</td>)}
              </tr>,
            ];
          })}
          {rows.length > before && <tr class="gap" aria-hidden="true" style={{ height: `${(rows.length - before) * rowHeight}px` }} />}
        </tbody>
        {hasTotals && (
          <tfoot>
            <tr aria-rowindex={rows.length + 2}>
              {onSelect && <td class="pick" />}
              {columns.map(({ id, number, total }, index) =>
                index === 0
                  ? <th key={id} scope="row" class="name">{total}</th>
                  : <td key={id} class={number ? "number" : ""} data-column={id}>{total}</td>)}
            </tr>
          </tfoot>
        )}
      </table>
    </div>
  );
}
