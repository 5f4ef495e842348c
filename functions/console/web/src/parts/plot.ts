// The canvas of a time chart, by uPlot: lines over days, weekends shaded, days that are not complete hatched.

import uPlot from "uplot";
import { day as writeDay } from "../format";
import { measure, writeShort } from "../measures";

export type Tone = "main" | "spend";

export interface Line {
  measure: string;
  label: string;
  tone: Tone;
  /** Decimal texts as the API gives them; `null` where a number is not known. */
  values: (string | null)[];
  /** The same of the period before, by its place in the range. */
  previous?: (string | null)[] | undefined;
}

export interface PlotData {
  days: string[];
  lines: Line[];
  /** Days whose numbers are not complete. */
  incomplete: string[];
  /** Days on which something was changed. */
  marked: Set<string>;
}

interface Handlers {
  cursor: (index: number | undefined, left: number) => void;
  select: (since: string, until: string) => void;
}

const seconds = (day: string) => Date.parse(`${day}T00:00:00Z`) / 1000;
const numbers = (values: (string | null)[]) => values.map((value) => (value === null ? null : Number(value)));

/** The numbers that are drawn: the days, then each line with its line of the period before. */
function plotted({ days, lines }: PlotData): uPlot.AlignedData {
  const drawn = lines.flatMap(({ values, previous }) => (previous ? [numbers(values), numbers(previous)] : [numbers(values)]));
  return [days.map(seconds), ...drawn] as uPlot.AlignedData;
}

/** Returns what a colour of the style sheet is at the moment: a canvas cannot read names. */
function colorOf(probe: HTMLElement, name: string): string {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

const AXIS_FONT = '11px "Geist", system-ui, sans-serif';
const HATCH = 6;

export function draw(host: HTMLElement, data: PlotData, height: number, { cursor, select }: Handlers): uPlot {
  const probe = host.appendChild(document.createElement("i"));
  const color = (name: string) => colorOf(probe, name);
  const [text, line, weekend, hatch, mark] = [color("text-3"), color("line"), color("weekend"), color("hatch"), color("text-2")];
  const kinds = [...new Set(data.lines.map(({ measure: name }) => measure(name).kind))];
  const scaleOf = (name: string) => (kinds.indexOf(measure(name).kind) === 0 ? "y" : "y2");
  const series: uPlot.Series[] = [{}];
  for (const { measure: name, tone, previous } of data.lines) {
    const stroke = color(`chart-${tone}`);
    const common = { scale: scaleOf(name), spanGaps: false };
    // One day alone is a point.
    const points = { show: data.days.length === 1, size: 6, fill: stroke, stroke };
    series.push({ ...common, stroke, width: 2, points });
    if (previous) series.push({ ...common, stroke, width: 1.25, dash: [3, 3], alpha: 0.75, points: { ...points, size: 4 } });
  }
  const axisOf = (scale: string, side: 1 | 3): uPlot.Axis => {
    const shown = data.lines.find(({ measure: name }) => scaleOf(name) === scale)!;
    return {
      scale, side, stroke: text, font: AXIS_FONT, size: 48, gap: 6, ticks: { show: false },
      grid: { show: side === 3, stroke: line, width: 1 },
      values: (_, splits) => splits.map((value) => writeShort(measure(shown.measure), value)),
      splits: (_u, _axis, min, max) => Array.from({ length: 5 }, (_, index) => min + ((max - min) * index) / 4),
    };
  };
  const range: uPlot.Scale.Range = (_u, min, max) => niceRange(Math.min(0, min ?? 0), max ?? 0);
  const options: uPlot.Options = {
    width: host.clientWidth, height, series,
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
    padding: [20, kinds.length > 1 ? 0 : 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
    scales: { x: { time: true }, y: { range }, y2: { range } },
    axes: [
      {
        stroke: text, font: AXIS_FONT, size: 24, gap: 4, ticks: { show: false }, grid: { show: false },
        incrs: [1, 2, 3, 7, 14, 28, 56, 91].map((count) => count * 86_400), space: 64,
        values: (_, splits) => splits.map((at) => writeDay(new Date(at * 1000).toISOString().slice(0, 10))),
      },
      axisOf("y", 3),
      ...(kinds.length > 1 ? [axisOf("y2", 1)] : []),
    ],
    hooks: {
      drawClear: [(plot) => shade(plot, data, weekend, hatch)],
      draw: [(plot) => drawMarks(plot, data, mark)],
      setCursor: [(plot) => cursor(plot.cursor.idx ?? undefined, plot.cursor.left ?? 0)],
      setSelect: [(plot) => {
        const [from, to] = [plot.posToIdx(plot.select.left), plot.posToIdx(plot.select.left + plot.select.width)];
        const [since, until] = [data.days[from], data.days[to]];
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        if (since && until && from < to) select(since, until);
      }],
    },
  };
  return new uPlot(options, plotted(data), host);
}

/** Returns a range from zero that four lines divide into round parts. */
function niceRange(min: number, max: number): [number, number] {
  const top = max > 0 ? max : 4;
  const rough = top / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 3, 4, 5, 10].find((factor) => factor * power * 4 >= top)! * power;
  return min < 0 ? [-step * Math.ceil(-min / step), step * 4] : [0, step * 4];
}

/** Shades weekends, and hatches days that are not complete. */
function shade(plot: uPlot, { days, incomplete }: PlotData, weekend: string, hatch: string): void {
  const { ctx, bbox } = plot;
  const width = days.length > 1 ? bbox.width / (days.length - 1) : bbox.width;
  const partial = new Set(incomplete);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  days.forEach((day, index) => {
    const left = Math.round(bbox.left + (index - 0.5) * width);
    const right = Math.round(bbox.left + (index + 0.5) * width);
    const weekday = new Date(`${day}T00:00:00Z`).getUTCDay();
    if (days.length <= 120 && (weekday === 0 || weekday === 6)) {
      ctx.fillStyle = weekend;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    if (partial.has(day)) {
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, width, bbox.height);
      ctx.clip();
      ctx.strokeStyle = hatch;
      ctx.beginPath();
      for (let x = left - bbox.height; x < left + width; x += HATCH * devicePixelRatio) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
    }
  });
  ctx.restore();
}

/** Marks the days on which something was changed: a line down from a diamond above the plot. */
function drawMarks(plot: uPlot, { days, marked }: PlotData, color: string): void {
  const { ctx, bbox } = plot;
  const size = 4 * devicePixelRatio;
  ctx.save();
  [ctx.fillStyle, ctx.strokeStyle, ctx.lineWidth] = [color, color, devicePixelRatio];
  ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const day of days) {
    if (!marked.has(day)) continue;
    const x = plot.valToPos(seconds(day), "x", true);
    const y = bbox.top - 2 * size;
    ctx.beginPath();
    for (const [dx, dy] of [[0, -size], [size, 0], [0, size], [-size, 0]] as const) ctx.lineTo(x + dx, y + dy);
    ctx.fill();
    ctx.beginPath();
    ctx.moveTo(x, y + size);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
