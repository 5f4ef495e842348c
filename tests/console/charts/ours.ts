// The console's own chart, for charts.mjs.

import { draw } from "../../../functions/console/web/src/parts/plot";
import { HEIGHT, type Data } from "./data";

Object.assign(window, {
  draw: (host: HTMLElement, { days, series }: Data) => {
    const lines = series.map((values, index) => ({
      measure: "spend", label: `Line ${index}`, tone: index % 2 ? "spend" as const : "main" as const, values: values.map((value) => value.toFixed(2)),
    }));
    const drawn = draw(host, { days, lines, incomplete: [], marked: new Set() }, HEIGHT, { cursor: () => {}, select: () => {} });
    return () => drawn.destroy();
  },
});
