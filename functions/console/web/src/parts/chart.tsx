// A chart of measures by day, with what it draws once more as a table and as JSON.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ChangesBelow, type Change } from "../changes";
import { day as writeDay, days as writeDays, plural } from "../format";
import { measure, write } from "../measures";
import type { Resource } from "../resource";
import { theme } from "../theme";
import { draw, type Line, type PlotData } from "./plot";

type ChartData = Omit<PlotData, "marked">;

interface Props {
  title: string;
  /** What the chart is called in the page's JSON. */
  name: string;
  data: ChartData;
  /** Totals of each measure over the range. */
  totals: Record<string, string | number | undefined>;
  comparedLabel?: string | undefined;
  currency: string;
  digits: number;
  timezone: string;
  busy: boolean;
  /** What was changed meanwhile. */
  changes: Resource<Change[]>;
  onSelect: (since: string, until: string) => void;
}

const HEIGHT = 208;

export default function Chart({ title, name, data, totals, comparedLabel, currency, digits, timezone, busy, changes, onSelect }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const [hovered, setHovered] = useState<{ index: number; left: number } | undefined>();
  const [asTable, setAsTable] = useState(false);
  const select = useRef(onSelect);
  select.current = onSelect;
  const marks = useMemo(() => (changes.data ?? []).filter(({ happened }) => happened), [changes.data]);
  const mirror = useMemo(
    () => JSON.stringify({
      days: data.days, timezone, currency, series: data.lines, incomplete: data.incomplete, changes: marks.map(({ id, day }) => ({ id, day })),
    }),
    [data, timezone, currency, marks],
  );

  useEffect(() => {
    const element = host.current!;
    const drawn = draw(element, { ...data, marked: new Set(marks.map(({ day }) => day)) }, HEIGHT, {
      cursor: (index, left) => setHovered(index === undefined ? undefined : { index, left }),
      select: (since, until) => select.current(since, until),
    });
    const resized = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      drawn.destroy();
      element.replaceChildren();
    };
    // The mirror is everything that is drawn; colours follow the theme.
  }, [mirror, theme.value]);

  const says = data.lines.map(({ measure: of, label }) => `${label} ${write(measure(of), totals[of], digits)}`).join(", ");
  const range = data.days.length > 0 ? writeDays(data.days[0]!, data.days.at(-1)!) : "";
  return (
    <section class="card chart" aria-busy={busy} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <ul class="key">
          {data.lines.map(({ measure: of, label, tone }) => (
            <li key={of}><i class={`swatch ${tone}`} />{label} <b>{write(measure(of), totals[of], digits)}</b></li>
          ))}
          {comparedLabel && <li><i class="dash" />{comparedLabel}</li>}
          {marks.length > 0 && <li><i class="mark" />{plural(marks.length, "change")}</li>}
          {data.incomplete.length > 0 && <li><i class="hatch" />{plural(data.incomplete.length, "day")} not complete</li>}
        </ul>
      </header>
      <div class="plot">
        <div ref={host} role="img" aria-label={`${title}, ${range}: ${says}.`} style={{ height: `${HEIGHT}px` }} />
        {hovered && data.days[hovered.index] && <Tooltip data={data} changes={marks} {...hovered} digits={digits} width={host.current?.clientWidth ?? 0} />}
      </div>
      <ChangesBelow marks={marks} error={changes.error} />
      <details onToggle={(event) => setAsTable(event.currentTarget.open)}>
        <summary>Show as table</summary>
        {asTable && <Table data={data} digits={digits} title={title} />}
      </details>
      <pre hidden data-chart={name}>{mirror}</pre>
    </section>
  );
}

const value = (line: Line, values: (string | null)[], index: number, digits: number) =>
  write(measure(line.measure), values[index] ?? undefined, digits);

/** Changes of a day that fit beside its numbers. */
const TOOLTIP_CHANGES = 3;

function Tooltip({ data, changes, index, left, width, digits }: { data: ChartData; changes: Change[]; index: number; left: number; width: number; digits: number }) {
  const ofDay = changes.filter(({ day }) => day === data.days[index]);
  const isRight = left > width / 2;
  const shift = isRight ? { right: `${width - left - 48 + 16}px` } : { left: `${left + 48 + 16}px` };
  return (
    <div class="tooltip" style={shift}>
      <b>{writeDay(data.days[index]!, { weekday: "short", day: "numeric", month: "short" })}</b>
      {data.lines.map((line) => (
        <div key={line.measure}>
          <i class={`swatch ${line.tone}`} />{line.label} <b>{value(line, line.values, index, digits)}</b>
          {line.previous && <span class="fine"> before {value(line, line.previous, index, digits)}</span>}
        </div>
      ))}
      {ofDay.slice(0, TOOLTIP_CHANGES).map(({ id, who, text, failure }) => <div class="tooltip-change" key={id}><i class="mark" />{who} {text}{failure && ` (${failure})`}</div>)}
      {ofDay.length > TOOLTIP_CHANGES && <div class="fine">and {plural(ofDay.length - TOOLTIP_CHANGES, "more change")}</div>}
      {data.incomplete.includes(data.days[index]!) && <div class="fine">This day is not complete yet.</div>}
    </div>
  );
}

function Table({ data, digits, title }: { data: ChartData; digits: number; title: string }) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={`${title} as a table`}>
      <table class="plain">
        <thead>
          <tr><th scope="col">Day</th>{data.lines.map(({ label }) => <th scope="col" class="number" key={label}>{label}</th>)}</tr>
        </thead>
        <tbody>
          {data.days.map((day, index) => (
            <tr key={day}>
              <th scope="row">{writeDay(day, { weekday: "short", day: "numeric", month: "short" })}</th>
              {data.lines.map((line) => <td class="number" key={line.measure}>{value(line, line.values, index, digits)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
