// Bars of one measure, each with its part of the whole; and a funnel.

import { decimal, percent } from "../format";
import { measure, write } from "../measures";

export interface Bar {
  key: string;
  label: string;
  value: string | number | undefined;
}

export function Bars({ name, of, bars, digits }: { name: string; of: string; bars: Bar[]; digits: number }) {
  const max = Math.max(...bars.map(({ value }) => Number(value ?? 0)), 0) || 1;
  return (
    <>
      <ol class="bars">
        {bars.map(({ key, label, value }) => (
          <li key={key} class={key === "others" ? "others" : ""}>
            <span class="bar-label">{label}</span>
            <span class="bar-value">{write(measure(of), value, digits)}</span>
            <span class="bar"><i style={{ inlineSize: `${(Number(value ?? 0) / max) * 100}%` }} /></span>
          </li>
        ))}
      </ol>
      <pre hidden data-chart={name}>{JSON.stringify({ measure: of, bars })}</pre>
    </>
  );
}

/** Steps that people take one after another, each as a part of the one before. */
export function Funnel({ steps }: { steps: { label: string; value: number | undefined }[] }) {
  const first = Number(steps[0]?.value ?? 0) || 1;
  return (
    <>
      <ol class="funnel">
        {steps.map(({ label, value }, index) => {
          const before = steps.slice(0, index).findLast((step) => step.value !== undefined)?.value;
          // Each step is small beside the first; the square root keeps all of them visible.
          const size = Math.sqrt(Number(value ?? 0) / first) * 100;
          return (
            <li key={label}>
              <span class="bar-label">{label}</span>
              <span class="bar-value">
                {decimal(value, 0)}
                {before && value !== undefined ? <span class="fine"> {percent(value / before)}</span> : null}
              </span>
              <span class="bar"><i style={{ inlineSize: `${size}%` }} /></span>
            </li>
          );
        })}
      </ol>
      <pre hidden data-chart="funnel">{JSON.stringify({ steps })}</pre>
    </>
  );
}
