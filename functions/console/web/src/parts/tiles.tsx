// The first line of a page: a few measures of everything below, each with its change and its course.

import type { Schemas } from "../api";
import { delta, measure, write, type Values } from "../measures";
import { Sparkline } from "./sparkline";

interface Props {
  /** The first is the one that is drawn beside spend. */
  measures: string[];
  totals: { measures: Values; previous?: Values | undefined; change?: Record<string, Schemas["Change"]> | undefined } | undefined;
  series: Record<string, (string | null | undefined)[]>;
  currency: string;
  digits: number;
  busy: boolean;
}

export function Tiles({ measures, totals, series, currency, digits, busy }: Props) {
  return (
    <dl class="tiles card" aria-busy={busy}>
      {measures.map((name, index) => {
        const of = measure(name);
        const value = totals?.measures[name];
        const changed = totals && delta(of, totals.change?.[name], totals.previous?.[name]);
        const tone = name === "spend" ? "spend" : index === 0 ? "main" : "";
        return (
          <div class="tile" key={name} data-measure={name}>
            <dt>{tone && <i class={`swatch ${tone}`} />}{of.label}</dt>
            <dd>
              <span class="value">
                {totals ? write(of, value, digits) : "…"}
                {of.kind === "money" && totals && value !== undefined && <small> {currency}</small>}
              </span>
              <span class="under">
                {changed ? <span class={`delta ${changed.tone}`}>{changed.text}</span> : <span class="delta neutral" />}
                <Sparkline values={series[name] ?? []} tone={tone} />
              </span>
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
